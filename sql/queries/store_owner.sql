-- Who may remove files from the store.
SELECT owner_id FROM store_owner

/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* desc_data.h - a FileDescriptorSet of all of proto/ with its imports, [desc_data, desc_data_end).
 */
#ifndef SERVER_DESC_DATA_H
#define SERVER_DESC_DATA_H

extern const unsigned char desc_data[], desc_data_end[];

#endif

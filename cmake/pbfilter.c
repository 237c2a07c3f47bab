/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pbfilter.c - build tool: makes a descriptor set acceptable to protoc-c 1.4.
 *
 * protoc-c refuses proto3 `optional` because the flag is newer than it is. protoc has already put
 * every such field into a synthetic one-member oneof, so clearing the flag is all it takes: the
 * wire form is the same and C code gets a `_field_case` that says whether the field is set. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "google/protobuf/descriptor.pb-c.h"

static void clear_optional(Google__Protobuf__DescriptorProto *message)
{
    for (size_t i = 0; i < message->n_field; i++) {
        message->field[i]->has_proto3_optional = 0;
        message->field[i]->proto3_optional = 0;
    }
    for (size_t i = 0; i < message->n_nested_type; i++)
        clear_optional(message->nested_type[i]);
}

static unsigned char *read_all(const char *path, size_t *ret_len)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    size_t cap = 1 << 22;
    unsigned char *data = malloc(cap);
    *ret_len = data ? fread(data, 1, cap, f) : 0;
    fclose(f);
    return data;
}

int main(int argc, char **argv)
{
    size_t len = 0;
    unsigned char *in = argc == 3 ? read_all(argv[1], &len) : NULL;
    Google__Protobuf__FileDescriptorSet *set =
        in ? google__protobuf__file_descriptor_set__unpack(NULL, len, in) : NULL;
    if (!set) {
        fprintf(stderr, "usage: pbfilter IN.pb OUT.pb (IN.pb a FileDescriptorSet)\n");
        return 1;
    }
    for (size_t i = 0; i < set->n_file; i++)
        for (size_t j = 0; j < set->file[i]->n_message_type; j++)
            clear_optional(set->file[i]->message_type[j]);

    size_t size = google__protobuf__file_descriptor_set__get_packed_size(set);
    unsigned char *out = malloc(size);
    FILE *f = fopen(argv[2], "wb");
    bool ok = out && f;
    if (ok) {
        google__protobuf__file_descriptor_set__pack(set, out);
        ok = fwrite(out, 1, size, f) == size;
    }
    if (f)
        ok = fclose(f) == 0 && ok;
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
    free(in);
    free(out);
    return ok ? 0 : 1;
}

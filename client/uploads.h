/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* uploads.h - several files at once: each sent, then its job followed to the end. */
#ifndef CLIENT_UPLOADS_H
#define CLIENT_UPLOADS_H

#include "client/app.h"
#include "client/upload_file.h"
#include "localrag/v1/job.pb-c.h"

enum upload_stage {
    UPLOAD_WAITING, /* nothing sent yet */
    UPLOAD_SENDING,
    UPLOAD_ACCEPTED, /* the server has it: there is a job */
    UPLOAD_ENDED, /* the job ended: see `job` */
};

struct upload {
    const char *path;
    char *name; /* as shown */
    enum upload_stage stage;
    struct ctx cx; /* its failure says why it did not get further; owns what is below */
    Localrag__V1__UploadDocumentResponse *reply; /* from UPLOAD_ACCEPTED on */
    Localrag__V1__Job *job; /* from UPLOAD_ENDED on */
    Localrag__V1__GetJobResultResponse *result; /* of a completed job */
};

/* Runs all of them to their ends, or to their acceptance when !wait. Returns early on Ctrl-C. What
 * became of each is in `uploads`, which the caller gives back with uploads_done. */
enum code uploads_run(struct app *app, const struct upload_options *options, bool wait,
                      struct upload **ret_uploads) MUST_CHECK;
void uploads_done(struct upload *uploads, size_t n);

#endif

/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* man.c - the manual page localrag(1) as roff (man.h).
 *
 * Written from the same table as --help, so that the two cannot disagree: a command or option
 * without its line here cannot exist. Every text from the table goes through `text`, which writes
 * hyphens as
 * \- (they are typed, so they must be copied as ASCII) and keeps roff from seeing its own
 * characters. The pages of the two daemons are made from their --help by docs/man/man.sh. */
#include "client/man.h"

#include <stdlib.h>
#include <time.h>

#include "base/str.h"
#include "client/cmd.h"
#include "client/help.h"

static void text(struct buf *b, const char *s)
{
    if (*s == '.' || *s == '\'')
        buf_str(b, "\\&");
    for (; *s; s++) {
        if (*s == '-')
            buf_str(b, "\\-");
        else if (*s == '\\')
            buf_str(b, "\\e");
        else
            buf_char(b, *s);
    }
}

/* A help line as a sentence. */
static void sentence(struct buf *b, const char *s)
{
    char first[2] = {*s >= 'a' && *s <= 'z' ? (char)(*s - 'a' + 'A') : *s, '\0'};
    text(b, first);
    text(b, *s ? s + 1 : s);
    buf_str(b, ".\n");
}

static void bold(struct buf *b, const char *s)
{
    buf_str(b, "\\fB");
    text(b, s);
    buf_str(b, "\\fR");
}

static void option(struct buf *b, const struct arg_option *o)
{
    const char *value = o->kind == ARG_CHOICE ? o->choices : o->value;
    buf_str(b, ".TP\n");
    if (o->letter)
        buf_printf(b, "\\fB\\-%c\\fR, ", o->letter);
    buf_str(b, "\\fB\\-\\-");
    text(b, o->name);
    buf_str(b, "\\fR");
    if (value) {
        buf_str(b, " \\fI");
        text(b, value);
        buf_str(b, "\\fR");
    }
    buf_char(b, '\n');
    sentence(b, o->help);
}

static void command(struct buf *b, const struct cmd *cmd)
{
    buf_str(b, ".SS ");
    text(b, cmd->name);
    if (cmd->n_options)
        buf_str(b, " [OPTION]...");
    if (cmd->operands) {
        buf_char(b, ' ');
        text(b, cmd->operands);
    }
    buf_char(b, '\n');
    sentence(b, cmd->help);
    for (size_t i = 0; i < cmd->n_options; i++)
        option(b, &cmd->options[i]);
}

static void heading(struct buf *b)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    int64_t seconds;
    char date[16] = "1970-01-01";
    struct tm tm;
    if (!epoch || !str_parse_int(epoch, 0, INT32_MAX, &seconds))
        seconds = time(NULL);
    time_t t = (time_t)seconds;
    if (gmtime_r(&t, &tm))
        strftime(date, sizeof(date), "%Y-%m-%d", &tm);
    buf_printf(b, ".TH LOCALRAG 1 %s \"localrag " LOCALRAG_VERSION "\" \"User Commands\"\n", date);
}

static void rest(struct buf *b)
{
    static const struct {
        const char *name, *help;
    } variables[] = {
        {"LOCALRAG_SERVER", "the server to talk to, as HOST:PORT; --server wins"},
        {"LOCALRAG_API_KEY", "the API key; --api-key wins"},
        {"NO_COLOR", "when set and not empty, no colors"},
    };
    buf_str(b, ".SH ENVIRONMENT\n");
    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        buf_str(b, ".TP\n");
        bold(b, variables[i].name);
        buf_char(b, '\n');
        sentence(b, variables[i].help);
    }
    buf_str(b, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < help_exits_count; i++) {
        buf_printf(b, ".TP\n\\fB%d\\fR\n", help_exits[i].status);
        sentence(b, help_exits[i].text);
    }
    buf_str(b, ".SH EXAMPLES\n"
               "Send two documents and follow them until they are read:\n"
               ".PP\n.in +4n\n.EX\nlocalrag upload report.pdf scan.tiff\n.EE\n.in\n"
               ".PP\nSend one, keep the id of its job, ask later:\n"
               ".PP\n.in +4n\n.EX\n"
               "localrag \\-\\-json upload \\-\\-no\\-wait report.pdf\n"
               "localrag jobs result ID\n.EE\n.in\n"
               ".PP\nRead all PDF files of a directory on the server:\n"
               ".PP\n.in +4n\n.EX\nlocalrag ingest /srv/papers \\-\\-pattern '*.pdf'\n.EE\n.in\n"
               ".SH SEE ALSO\n"
               ".BR localrag\\-server (8),\n.BR localrag\\-worker (8)\n");
}

void man_write(struct buf *b)
{
    heading(b);
    buf_str(b, ".SH NAME\nlocalrag \\- send documents to a LocalRAG server and follow their jobs\n"
               ".SH SYNOPSIS\n\\fBlocalrag\\fR [\\fIOPTION\\fR]... \\fICOMMAND\\fR\n"
               ".SH DESCRIPTION\n"
               "Sends documents to a LocalRAG server over gRPC, follows their jobs and shows what\n"
               "was read.\n"
               "Progress is drawn as bars on a terminal, else written as one line a change.\n"
               "Ctrl\\-C ends the watching and says how to go on; it never cancels a job.\n"
               ".SH OPTIONS\nOf every command, before or after it:\n");
    for (size_t i = 0; i < cmd_global_options_count; i++)
        option(b, &cmd_global_options[i]);
    buf_str(b, ".SH COMMANDS\n");
    for (size_t i = 0; i < cmd_all_count; i++)
        command(b, cmd_all[i]);
    rest(b);
}

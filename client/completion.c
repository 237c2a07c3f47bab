/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* completion.c - completion scripts (completion.h).
 *
 * bash and zsh share one form: a `case` over the command that is being typed gives the words that
 * may follow, and one over the option before the cursor gives its values. fish has a line for every
 * word. Names in the table are letters and hyphens only, help lines contain no quotes, which a test
 * holds, so nothing here needs quoting. */
#include "client/completion.h"

#include <string.h>

#include "base/str.h"
#include "client/cmd.h"

/* ---- bash and zsh ---- */

static void add_choices(struct buf *b, const char *choices)
{
    for (const char *p = choices; *p; p++)
        buf_char(b, *p == '|' ? ' ' : *p);
}

static void add_options(struct buf *b, const struct arg_option *options, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(b, " --%s", options[i].name);
}

static bool in_group(const struct cmd *cmd, const struct cmd_group *group)
{
    return str_starts(cmd->name, group->name) && cmd->name[strlen(group->name)] == ' ';
}

/* One branch for every option that takes a value. Options of the same name have the same values. */
static void value_cases(struct buf *b, const struct arg_option *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (options[i].kind == ARG_FLAG)
            continue;
        buf_printf(b, "    --%s) ", options[i].name);
        if (options[i].kind == ARG_CHOICE) {
            buf_str(b, "lr_words=\"");
            add_choices(b, options[i].choices);
            buf_str(b, "\" ;;\n");
        } else {
            buf_str(b, options[i].kind == ARG_FILE ? "lr_files=1 ;;\n" : "lr_none=1 ;;\n");
        }
    }
}

static void first_words(struct buf *b)
{
    for (size_t i = 0; i < cmd_groups_count; i++)
        buf_printf(b, " %s", cmd_groups[i].name);
    for (size_t i = 0; i < cmd_all_count; i++)
        if (!strchr(cmd_all[i]->name, ' '))
            buf_printf(b, " %s", cmd_all[i]->name);
}

static void command_cases(struct buf *b)
{
    for (size_t i = 0; i < cmd_groups_count; i++) {
        buf_printf(b, "    \"%s\") lr_words=\"", cmd_groups[i].name);
        for (size_t j = 0; j < cmd_all_count; j++)
            if (in_group(cmd_all[j], &cmd_groups[i]))
                buf_printf(b, "%s ", cmd_all[j]->name + strlen(cmd_groups[i].name) + 1);
        buf_str(b, "\" ;;\n");
    }
    for (size_t i = 0; i < cmd_all_count; i++) {
        const struct cmd *cmd = cmd_all[i];
        buf_printf(b, "    \"%s\") lr_words=\"", cmd->name);
        if (cmd->operands && strchr(cmd->operands, '|'))
            add_choices(b, cmd->operands);
        add_options(b, cmd->options, cmd->n_options);
        buf_printf(b, " $globals\"%s ;;\n", cmd->files ? "; lr_files=1" : "");
    }
    buf_str(b, "    \"\") lr_words=\"");
    first_words(b);
    buf_str(b, " $globals\" ;;\n");
}

/* Sets lr_words, lr_files and lr_none for the word `cur` after `prev`, given all words so far in
 * `typed`. */
static void shared_function(struct buf *b)
{
    buf_str(b, "_localrag_words() {\n"
               "  local prev=$1 command= word skip= globals=\"");
    add_options(b, cmd_global_options, cmd_global_options_count);
    buf_str(b, "\"\n  shift\n"
               "  lr_words= lr_files= lr_none=\n"
               "  case $prev in\n");
    value_cases(b, cmd_global_options, cmd_global_options_count);
    for (size_t i = 0; i < cmd_all_count; i++)
        value_cases(b, cmd_all[i]->options, cmd_all[i]->n_options);
    buf_str(b, "  esac\n"
               "  [ -n \"$lr_words$lr_files$lr_none\" ] && return\n"
               "  for word in \"$@\"; do\n"
               "    if [ -n \"$skip\" ]; then skip=; continue; fi\n"
               "    case $word in\n"
               "    ");
    for (size_t i = 0, n = 0; i < cmd_global_options_count; i++)
        if (cmd_global_options[i].kind != ARG_FLAG)
            buf_printf(b, "%s--%s", n++ ? "|" : "", cmd_global_options[i].name);
    buf_str(b, ") skip=1 ;;\n"
               "    -*) ;;\n"
               "    *) case $command in\n"
               "       \"\") command=$word ;;\n"
               "       ");
    for (size_t i = 0; i < cmd_groups_count; i++)
        buf_printf(b, "%s%s", i ? "|" : "", cmd_groups[i].name);
    buf_str(b, ") command=\"$command $word\" ;;\n"
               "       esac ;;\n"
               "    esac\n"
               "  done\n"
               "  case $command in\n");
    command_cases(b);
    buf_str(b, "  esac\n}\n");
}

static void write_bash(struct buf *b)
{
    buf_str(b,
            "# bash completion for localrag: source this, or put it where bash-completion looks\n");
    shared_function(b);
    buf_str(b, "_localrag() {\n"
               "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
               "  local lr_words lr_files lr_none\n"
               "  _localrag_words \"$prev\" \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"\n"
               "  COMPREPLY=($(compgen -W \"$lr_words\" -- \"$cur\"))\n"
               "  if [ -n \"$lr_files\" ] && [[ $cur != -* ]]; then\n"
               "    compopt -o filenames\n"
               "    local IFS=$'\\n'\n"
               "    COMPREPLY=($(compgen -f -- \"$cur\"))\n"
               "  fi\n"
               "}\n"
               "complete -F _localrag localrag\n");
}

static void write_zsh(struct buf *b)
{
    buf_str(b, "#compdef localrag\n");
    shared_function(b);
    buf_str(b, "_localrag() {\n"
               "  local cur=${words[CURRENT]} prev=${words[CURRENT-1]}\n"
               "  local -a typed=(\"${(@)words[2,CURRENT-1]}\")\n"
               "  local lr_words lr_files lr_none\n"
               "  _localrag_words \"$prev\" \"${typed[@]}\"\n"
               "  if [[ -n $lr_files && $cur != -* ]]; then\n"
               "    _files\n"
               "  else\n"
               "    compadd -- ${=lr_words}\n"
               "  fi\n"
               "}\n"
               "if [ \"$funcstack[1]\" = _localrag ]; then _localrag; else compdef _localrag "
               "localrag; fi\n");
}

/* ---- fish ---- */

static void fish_option(struct buf *b, const char *condition, const struct arg_option *o)
{
    buf_printf(b, "complete -c localrag%s -l %s", condition, o->name);
    if (o->letter)
        buf_printf(b, " -s %c", o->letter);
    if (o->kind == ARG_CHOICE) {
        buf_str(b, " -x -a '");
        add_choices(b, o->choices);
        buf_char(b, '\'');
    } else if (o->kind != ARG_FLAG) {
        buf_str(b, o->kind == ARG_FILE ? " -r -F" : " -x");
    }
    buf_printf(b, " -d '%s'\n", o->help);
}

static void fish_cmd(struct buf *b, const struct cmd *cmd)
{
    char condition[160];
    const char *space = strchr(cmd->name, ' ');
    int first = space ? (int)(space - cmd->name) : (int)strlen(cmd->name);
    const char *last = space ? space + 1 : cmd->name;
    if (space)
        buf_printf(b,
                   "complete -c localrag -f -n '__fish_seen_subcommand_from %.*s' -a %s -d '%s'\n",
                   first, cmd->name, last, cmd->help);
    else
        buf_printf(b, "complete -c localrag -f -n __fish_use_subcommand -a %s -d '%s'\n", last,
                   cmd->help);
    CLEANUP(buf_done) struct buf c = BUF_INIT(sizeof(condition));
    buf_printf(&c, " -n '__fish_seen_subcommand_from %.*s", first, cmd->name);
    if (space)
        buf_printf(&c, "; and __fish_seen_subcommand_from %s", last);
    buf_char(&c, '\'');
    for (size_t i = 0; i < cmd->n_options; i++)
        fish_option(b, buf_cstr(&c), &cmd->options[i]);
    if (cmd->files)
        buf_printf(b, "complete -c localrag%s -F\n", buf_cstr(&c));
    if (cmd->operands && strchr(cmd->operands, '|')) {
        buf_printf(b, "complete -c localrag%s -f -a '", buf_cstr(&c));
        add_choices(b, cmd->operands);
        buf_str(b, "'\n");
    }
}

static void write_fish(struct buf *b)
{
    buf_str(b, "# fish completion for localrag\ncomplete -c localrag -f\n");
    for (size_t i = 0; i < cmd_global_options_count; i++)
        fish_option(b, "", &cmd_global_options[i]);
    for (size_t i = 0; i < cmd_groups_count; i++)
        buf_printf(b, "complete -c localrag -n __fish_use_subcommand -a %s -d '%s'\n",
                   cmd_groups[i].name, cmd_groups[i].help);
    for (size_t i = 0; i < cmd_all_count; i++)
        fish_cmd(b, cmd_all[i]);
}

bool completion_write(struct buf *b, const char *shell)
{
    static const struct {
        const char *shell;
        void (*write)(struct buf *b);
    } writers[] = {{"bash", write_bash}, {"zsh", write_zsh}, {"fish", write_fish}};
    for (size_t i = 0; i < ARRAY_LEN(writers); i++) {
        if (strcmp(writers[i].shell, shell) == 0) {
            writers[i].write(b);
            return true;
        }
    }
    return false;
}

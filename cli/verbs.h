/* The verbs of the command: `synod <verb> ...` calls verb_<verb>(argc, argv) with argv[0] the verb. Each returns the exit
 * code (enum exit_code of io/problem.h) and answers --help. cli/main.c has the table. */
#ifndef SYNOD_CLI_VERBS_H
#define SYNOD_CLI_VERBS_H

int verb_init(int argc, char **argv);
int verb_start(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_leader(int argc, char **argv);
int verb_member(int argc, char **argv);
int verb_settings(int argc, char **argv);
int verb_config(int argc, char **argv);
int verb_journal(int argc, char **argv);
int verb_snapshot(int argc, char **argv);
int verb_recover(int argc, char **argv);
int verb_components(int argc, char **argv);
int verb_demo(int argc, char **argv);
int verb_bench(int argc, char **argv);
int verb_version(int argc, char **argv);

#endif

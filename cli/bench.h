/* `synod bench`: the load generator, and experiments. An experiment is a verb below it, in a file of its own; each prints a
 * table (cli/bench_table.h), most start clusters for it (cli/bench_cluster.h). */
#ifndef SYNOD_CLI_BENCH_H
#define SYNOD_CLI_BENCH_H

/* As the verbs of cli/verbs.h; argv[0] is the experiment's name. */
int bench_overhead(int argc, char **argv);
int bench_crossings(int argc, char **argv);
int bench_waiting(int argc, char **argv);
int bench_deployments(int argc, char **argv);
int bench_restarts(int argc, char **argv);

#endif

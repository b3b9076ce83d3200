/* `synod-lab`: the experiments. Each is a verb in a file of its own and prints a table (lab/table.h); most start clusters
 * for it (lab/runs.h). */
#ifndef SYNOD_LAB_LAB_H
#define SYNOD_LAB_LAB_H

int lab_overhead(int argc, char **argv);
int lab_crossings(int argc, char **argv);
int lab_waiting(int argc, char **argv);
int lab_chain(int argc, char **argv);
int lab_deployments(int argc, char **argv);
int lab_restarts(int argc, char **argv);
int lab_journal(int argc, char **argv);
int lab_history(int argc, char **argv);

#endif

/* The `synod-lab` command: a table of experiments. */
#include "host/program.h"
#include "lab/lab.h"

int main(int argc, char **argv)
{
    static const struct verb experiments[] = {
        {"overhead", lab_overhead, "what each composition costs a cluster"},
        {"crossings", lab_crossings, "what a call and a byte cost across each boundary of a node"},
        {"waiting", lab_waiting, "sleeping until something happens, or looking at intervals"},
        {"chain", lab_chain, "one client's write beside one sync and two round trips"},
        {"deployments", lab_deployments, "one role a process, several, or all in each node"},
        {"journal", lab_journal, "how fast a start reads its journal"},
        {"history", lab_history, "how restarts and disks grow with history and state"},
        {"restarts", lab_restarts, "parts that break again and again, and what a client sees of it"},
    };
    static const struct program lab = {
        .name = "synod-lab",
        .description = "experiments that compare ways to do the same thing, each with a table and a plot",
        .verbs = experiments,
        .verb_count = sizeof experiments / sizeof experiments[0],
        .exit_codes = "  0  all was measured\n"
                      "  1  something failed that is not listed here\n"
                      "  2  wrong command line, or a component that is not there\n"
                      "  5  a cluster did not do what it must\n",
    };
    return program_run(&lab, argc, argv);
}

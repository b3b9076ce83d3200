/* The `synod` command: a table of verbs. */
#include "cli/verbs.h"
#include "host/program.h"

int main(int argc, char **argv)
{
    static const struct verb verbs[] = {
        {"init", verb_init, "format the data folder of a node, once"},
        {"start", verb_start, "run nodes"},
        {"status", verb_status, "show how each node of a cluster is"},
        {"leader", verb_leader, "move leadership to another node"},
        {"member", verb_member, "show the members of a running cluster, or change them"},
        {"settings", verb_settings, "show the governed settings of a running cluster, or change them"},
        {"config", verb_config, "check a configuration file, or list all its keys"},
        {"journal", verb_journal, "show what is in the journal of a data folder"},
        {"snapshot", verb_snapshot, "show the snapshots of a data folder, copy one, begin a cluster with one"},
        {"recover", verb_recover, "begin a new cluster with what is left of one that has lost a majority of its disks"},
        {"components", verb_components, "show the components a node is made of"},
        {"demo", verb_demo, "run a cluster with clients on this machine and check the result"},
        {"bench", verb_bench, "put load on a cluster and measure"},
        {"version", verb_version, "show the versions of this program and its runtime"},
    };
    static const struct program synod = {
        .name = "synod",
        .description = "replicate a deterministic state machine with Multi-Paxos, every part a WebAssembly component",
        .verbs = verbs,
        .verb_count = sizeof verbs / sizeof verbs[0],
        .exit_codes = "  0  all went well\n"
                      "  1  something failed that is not listed here\n"
                      "  2  wrong command line or configuration, a port in use, a component that cannot be used\n"
                      "  3  data folder: not formatted, another node's, in use, corrupt\n"
                      "  4  a sync to disk failed: final, do not restart the node on this disk\n"
                      "  5  demo or bench: the result is not what it must be\n"
                      "  6  the node's state is not that of a majority: final, it must not go on\n"
                      "  7  the node was removed, or its disk was replaced: final, this data folder is of no use\n",
    };
    return program_run(&synod, argc, argv);
}

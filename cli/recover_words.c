#include "cli/recover_words.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "core/formats/frame.h"

enum { LIST_MAX = 512 };

/* "node 1", "nodes 1 and 2", "nodes 1, 2 and 3". */
static const char *print_nodes(node_set nodes, char text[LIST_MAX])
{
    size_t len = (size_t)snprintf(text, LIST_MAX, nodes == 0 ? "no node" : node_set_count(nodes) == 1 ? "node" : "nodes");
    for (node_set i = nodes; i != 0; i &= i - 1) {
        const char *between = i == nodes ? " " : (i & (i - 1)) == 0 ? " and " : ", ";
        len += (size_t)snprintf(text + len, LIST_MAX - len, "%s%u", between, node_set_first(i));
    }
    return text;
}

/* When the journal of a folder was last written, as its files say. */
static void print_written(const char *folder)
{
    char text[64];
    struct tm parts;
    time_t last = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        struct stat status;
        const size_t len = strlen(entry->d_name);
        const bool is_segment =
            strncmp(entry->d_name, "journal-", 8) == 0 && len > 4 && strcmp(entry->d_name + len - 4, ".log") == 0;
        if (is_segment && fstatat(dirfd(dir), entry->d_name, &status, 0) == 0 && status.st_mtime > last)
            last = status.st_mtime;
    }
    if (dir != NULL)
        closedir(dir);
    if (last != 0 && localtime_r(&last, &parts) != NULL && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %z", &parts) > 0)
        printf(", its journal last written %s", text);
}

static void print_folders(const struct survivor_findings *f)
{
    char nodes[LIST_MAX];
    printf("cluster '%s', of which is left:\n", f->folders[0].identity.cluster);
    for (size_t i = 0; i < f->count; i++) {
        const struct survivor_folder *folder = &f->folders[i];
        printf("  node %u, disk %u: %s", folder->identity.node, incarnation_number(folder->identity.incarnation),
               folder->path);
        print_written(folder->path);
        printf("\n");
    }
    printf("members at the end: %s", print_nodes(f->members, nodes));
    if (f->newest.slot != 0)
        printf(" (the configuration of slot %" PRIu64 ", which governs from slot %" PRIu64 " on)\n", f->newest.slot,
               f->newest.governs);
    else
        printf(" (by their configuration file: the cluster had not formed)\n");
    if (f->voted.slot != 0)
        printf("a change of the members or settings was voted for in slot %" PRIu64 ", and may have been chosen\n",
               f->voted.slot);
    printf("lost: %s\n", print_nodes(f->lost, nodes));
}

static void print_range(uint64_t from, uint64_t to)
{
    if (from + 1 == to)
        printf("slot %" PRIu64, from);
    else
        printf("slots %" PRIu64 " to %" PRIu64, from, to - 1);
}

static void print_kept(const struct survivor_findings *f)
{
    const struct survivors_found *s = &f->found;
    const uint64_t by_votes = s->chosen < s->end ? s->chosen : s->end;
    if (s->known > 1) {
        printf("kept exactly: ");
        print_range(1, s->known);
        printf(", which are known to be chosen");
        if (f->snapshot != NULL)
            printf("; the state before slot %" PRIu64 " comes from the snapshot of node %u", s->begin,
                   f->snapshot_of->identity.node);
        printf("\n");
    }
    if (by_votes > s->known) {
        printf("kept: ");
        print_range(s->known, by_votes);
        printf(", which were chosen, with the values that are left\n");
    }
    if (s->end > by_votes) {
        printf("kept: ");
        print_range(by_votes, s->end);
        printf(", which were voted for, whether or not clients have been answered\n");
    }
}

static void print_gaps(const struct survivor_findings *f)
{
    const struct survivors_found *s = &f->found;
    if (s->gaps > 0)
        printf("%" PRIu64 " of these slots have no value, slot %" PRIu64 " is the first: nothing is executed there%s\n",
               s->gaps, s->first_gap, f->is_exact ? ", because nothing was chosen" : "");
    if (s->lost_gaps > 0)
        printf("LOST: %" PRIu64 " of those without a value were chosen, and clients may have been answered\n", s->lost_gaps);
    if (s->chosen > s->end) {
        printf("LOST: ");
        print_range(s->end, s->chosen);
        printf(", which were chosen, and no survivor has their values; clients may have been answered\n");
    }
    if (s->forgotten != 0)
        printf("votes above slot %" PRIu64 " are left out, because that slot is lost\n", s->forgotten);
}

/* What no survivor can know. */
static void print_unknown(const struct survivor_findings *f)
{
    const struct survivors_found *s = &f->found;
    const uint64_t next = s->chosen > s->end ? s->chosen : s->end;
    char nodes[LIST_MAX];
    if (f->state_changed)
        printf(
            "MAY BE DIFFERENT: what comes of these slots. state_bytes_max was changed in them, or may have been, and the new\n"
            "  cluster executes them with one value: writes that were done may be refused, and refused ones done\n");
    if (f->is_exact) {
        printf(f->state_changed ? "no slot is missing that was chosen" : "nothing is missing that clients were told");
        printf(
            ": nothing was chosen without the acceptors that are left\n"
            "  This holds if each folder is as its node left it at the end. An older copy lacks what its node has promised and\n"
            "  voted for since, and this command cannot always tell.\n");
        return;
    }
    print_nodes(f->lost, nodes);
    if (s->end > s->known)
        printf("MAY BE DIFFERENT: slots from %" PRIu64 " to %" PRIu64
               ", in which a lost node may have voted at a higher ballot\n",
               s->known, s->end - 1);
    printf("MAY BE MISSING: what was chosen from slot %" PRIu64 " on. Clients may have been answered\n", next);
    if (f->lost_alone)
        printf(
            "  If the survivors had voted for all that was chosen when the lost nodes stopped, this is nothing. If they were\n"
            "  voting to the end, and did not fall behind, it is at most what a leader has under way: %u slots (alpha), up to\n"
            "  slot %" PRIu64 ", each with a batch of commands. But %s could choose and answer without them. If the\n"
            "  survivors were down, cut off or behind, it is all since then, and no number bounds it.\n",
            f->alpha, next + f->alpha - 1, nodes);
    else
        printf(
            "  It is at most %u slots (alpha) after the last one that a surviving learner had executed, each with a batch of\n"
            "  commands: a leader goes no further without them. That may be a little more than their disks have.\n",
            f->alpha);
}

void recover_words(const struct survivor_findings *f)
{
    print_folders(f);
    print_kept(f);
    print_gaps(f);
    print_unknown(f);
}

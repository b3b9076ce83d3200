/* Shows what is in the snapshots of a data folder, or in one file, piece by piece, and where damage begins. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/snapshot_inspect.h"
#include "core/agents/execution.h"
#include "core/formats/journal.h"
#include "core/state/kv_chunks.h"
#include "io/data_folder.h"
#include "io/snapshot_store.h"

/* What has been seen of one snapshot. */
struct inspection {
    uint64_t pieces, keys;
    bool counts; /* all chunks so far are the kv-store's */
};

static void print_learner(const struct execution_piece *said)
{
    printf("    state hash %016" PRIx64 ", %" PRIu64 " commands executed%s\n", said->state_hash, said->commands_executed,
           said->seeded ? "" : ", no seed yet");
    printf("    %" PRIu64 " ms of agreed time, wall clock %" PRIu64 " ms, round %" PRIu64 " of node %u led\n",
           said->reached.moment.elapsed, said->reached.moment.unix, said->reached.ballot.round, said->reached.ballot.node);
    for (uint32_t origin = 0; origin <= NODE_ID_MAX; origin++) {
        const struct batch_id *last = &said->last[origin];
        if (last->incarnation != 0 || last->number != 0)
            printf("    last batch of node %u: number %" PRIu64 " of life %u\n", origin, last->number, last->incarnation);
    }
}

/* Prints a piece. False: it is sound, and yet no learner could load it. */
static bool print_piece(struct inspection *i, const struct snapshot_piece *piece, const uint64_t *body)
{
    static const char *const kinds[] = {[SNAPSHOT_END] = "the end",
                                        [SNAPSHOT_LEARNER] = "what the learner remembers",
                                        [SNAPSHOT_STATE] = "a chunk of the state",
                                        [SNAPSHOT_STATE_LAST] = "the last chunk of the state",
                                        [SNAPSHOT_SESSIONS] = "a chunk of the sessions",
                                        [SNAPSHOT_SESSIONS_LAST] = "the last chunk of the sessions"};
    const struct payload payload = {.words = {(uint64_t *)(uintptr_t)body, words_for(piece->len)}, .len = piece->len};
    struct execution_piece said;
    uint32_t keys;
    printf("%s, %u bytes", kinds[piece->kind], piece->len);
    if (piece->kind == SNAPSHOT_LEARNER) {
        const bool readable = execution_piece_read(&payload, &said);
        printf("\n");
        if (readable)
            print_learner(&said);
        return readable;
    }
    if (piece->kind == SNAPSHOT_STATE || piece->kind == SNAPSHOT_STATE_LAST) {
        i->counts = i->counts && kv_chunk_count((struct bytes){payload_bytes(&payload), payload.len}, &keys);
        if (i->counts) {
            i->keys += keys;
            printf(": %u keys", keys);
        }
    }
    printf("\n");
    return true;
}

static bool print_pieces(struct inspection *i, struct snapshot_reader *r, struct problem *problem)
{
    struct snapshot_piece piece;
    const uint64_t *body;
    enum snapshot_read read;
    do {
        const struct snapshot_place place = r->place;
        read = snapshot_reader_next(r, &piece, &body, problem);
        if (read != SNAPSHOT_READ_PIECE && read != SNAPSHOT_READ_ALL)
            return false;
        printf("  piece %" PRIu64 " at byte %" PRIu64 ": ", place.number, place.offset);
        i->pieces++;
        if (!print_piece(i, &piece, body))
            return problem_set(problem, EXIT_DATA, "%s: at byte %" PRIu64 ": what the learner remembers is malformed",
                               r->path, place.offset);
    } while (read == SNAPSHOT_READ_PIECE);
    return true;
}

/* Prints what is in an open snapshot, and closes it. */
static bool inspect_open(struct snapshot_reader *r, uint64_t slot, struct problem *problem)
{
    struct inspection i = {.counts = true};
    printf("%s: the state before slot %" PRIu64 "\n", strrchr(r->path, '/') != NULL ? strrchr(r->path, '/') + 1 : r->path,
           slot);
    const bool sound = print_pieces(&i, r, problem);
    printf("%s %" PRIu64 " bytes, %" PRIu64 " pieces", sound ? "sound:" : "sound up to there:", r->place.offset, i.pieces);
    if (sound)
        printf(", checksum %016" PRIx64, r->place.checksum);
    if (i.counts)
        printf(", %" PRIu64 " keys", i.keys);
    printf("\n");
    snapshot_reader_close(r);
    return sound;
}

static bool inspect_file(const char *path, struct problem *problem)
{
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    struct snapshot_stored said;
    struct snapshot_reader r;
    uint64_t cluster, slot;
    if (snapshot_reader_open_any(&r, disk_posix(), path, &cluster, &slot, problem) != SNAPSHOT_READ_PIECE)
        return false;
    if (snapshot_file_of(name, &said) == SNAPSHOT_FILE_WHOLE && said.slot != slot) {
        snapshot_reader_close(&r);
        return problem_set(problem, EXIT_DATA, "%s: at byte 0: %s", path, snapshot_fault_text(SNAPSHOT_OTHER_SLOT));
    }
    return inspect_open(&r, slot, problem);
}

static void print_problem(const struct problem *problem)
{
    fflush(stdout);
    fprintf(stderr, "%s\n", problem->text);
}

/* ---- All snapshots of a node ---- */

struct slots {
    uint64_t *ptr;
    size_t count, capacity;
};

static void note_file(void *context, const char *name)
{
    struct slots *slots = context;
    struct snapshot_stored said;
    switch (snapshot_file_of(name, &said)) {
    case SNAPSHOT_FILE_WHOLE:
        slots->ptr = memory_reserve(slots->ptr, &slots->capacity, slots->count + 1, sizeof *slots->ptr);
        slots->ptr[slots->count++] = said.slot;
        break;
    case SNAPSHOT_FILE_PART:
        printf("%s: was being written, and does not count\n", name);
        break;
    case SNAPSHOT_FILE_RECEIVED:
        printf("%s: what has come of one that other learners have\n", name);
        break;
    case SNAPSHOT_FILE_DAMAGED:
        printf("%s: was found damaged, and does not count\n", name);
        break;
    default:
        break;
    }
}

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static bool inspect_slot(const char *folder, uint64_t cluster, uint64_t slot, struct problem *problem)
{
    struct snapshot_reader r;
    char name[64];
    snprintf(name, sizeof name, "snapshot-%020" PRIu64, slot);
    char *path = disk_path(folder, name);
    const bool open = snapshot_reader_open(&r, disk_posix(), path, cluster, slot, problem) == SNAPSHOT_READ_PIECE;
    free(path);
    return open && inspect_open(&r, slot, problem);
}

/* The oldest first. All are looked at. What is wrong with one is printed, but for the last, which is left to the caller. */
static bool inspect_folder(const char *data_folder, struct problem *problem)
{
    struct identity identity;
    struct slots slots = {0};
    bool sound = true;
    if (!data_folder_look(disk_posix(), data_folder, &identity, problem))
        return false;
    printf("node %u of cluster '%s', life %u\n", identity.node, identity.cluster, identity.incarnation);
    char *folder = disk_path(data_folder, "snapshots");
    const int error = disk_list(disk_posix(), folder, note_file, &slots);
    if (error != 0 && error != -ENOENT)
        sound = problem_set_error(problem, EXIT_DATA, error, "%s: ", folder);
    if (slots.count == 0)
        printf("no snapshot\n");
    else
        qsort(slots.ptr, slots.count, sizeof *slots.ptr, by_number);
    for (size_t i = 0; i < slots.count; i++) {
        struct problem one;
        if (inspect_slot(folder, journal_cluster_hash(identity.cluster, strlen(identity.cluster)), slots.ptr[i], &one))
            continue;
        if (!sound)
            print_problem(problem);
        *problem = one;
        sound = false;
    }
    free(slots.ptr);
    free(folder);
    return sound;
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool snapshot_inspect(const char *path, struct problem *problem)
{
    return is_folder(path) ? inspect_folder(path, problem) : inspect_file(path, problem);
}

/* The decisions of a recovery. The rules are in formats/journal.h; each function names the rule that it carries out. */
#include "core/formats/journal_walk.h"

#include "core/base/memory.h"

enum { SCAN_BYTES = 64 * JOURNAL_PAGE }; /* the standard for journal_source.scan_bytes */

void journal_walk_begin(struct journal_walk *w, struct journal_source source, const struct journal_owner *owner,
                        struct journal_file *files, size_t count)
{
    invariant(count > 0);
    *w = (struct journal_walk){.source = source, .owner = owner, .files = files, .count = count};
    if (source.scan_bytes == 0)
        w->source.scan_bytes = SCAN_BYTES;
}

void journal_walk_close(struct journal_walk *w)
{
    journal_group_free(&w->group);
    journal_sticky_free(&w->inherited);
    journal_sticky_free(&w->sticky);
}

static enum journal_step fail(struct journal_walk *w, enum journal_fault fault, size_t segment, uint64_t offset)
{
    w->fault = fault;
    w->fault_segment = segment;
    w->fault_offset = offset;
    return JOURNAL_STEP_FAULT;
}

enum journal_fault journal_group_load(struct journal_group *g, struct journal_source source,
                                      const struct journal_owner *owner, const struct journal_file *files, size_t segment,
                                      uint64_t offset)
{
    const struct journal_file *file = &files[segment];
    struct journal_place place = {.owner = owner, .segment = file->first_lsn, .offset = offset};
    if (offset > file->bytes || file->bytes - offset < JOURNAL_PAGE)
        return JOURNAL_NO_GROUP;
    journal_group_reserve(g, JOURNAL_PAGE);
    if (!source.read(source.context, segment, offset, g->words, JOURNAL_PAGE))
        return JOURNAL_READ_FAILED;
    enum journal_fault fault = journal_group_header(g->words, &place, g);
    if (fault != JOURNAL_SOUND)
        return fault;
    uint64_t bytes = journal_pages(g->len);
    if (bytes > file->bytes - offset)
        return JOURNAL_GROUP_TOO_LONG;
    journal_group_reserve(g, bytes);
    if (bytes > JOURNAL_PAGE && !source.read(source.context, segment, offset + JOURNAL_PAGE,
                                             (uint8_t *)g->words + JOURNAL_PAGE, (size_t)(bytes - JOURNAL_PAGE)))
        return JOURNAL_READ_FAILED;
    return journal_group_check(g);
}

/* J7 and J9: what the header of a segment must say, given the groups before it. */
static enum journal_fault segment_follows(struct journal_walk *w, const struct journal_segment *header)
{
    if (w->segment == w->first) {
        w->next_lsn = header->first_lsn;
        w->previous = header->previous;
    }
    if (header->first_lsn != w->next_lsn)
        return JOURNAL_SEGMENT_GAP;
    if (header->previous != w->previous)
        return JOURNAL_SEGMENT_UNCHAINED;
    if (header->incarnation < w->incarnation)
        return JOURNAL_INCARNATION_FALLS;
    if (header->oldest_lsn < w->oldest_lsn || header->oldest_lsn > header->first_lsn)
        return JOURNAL_SEGMENT_DAMAGED;
    return JOURNAL_SOUND;
}

/* Reads and checks the whole header of the segment into w->group's memory. */
static enum journal_fault segment_load(struct journal_walk *w, struct journal_segment *header)
{
    struct journal_file *file = &w->files[w->segment];
    if (file->bytes < JOURNAL_PAGE)
        return JOURNAL_SEGMENT_SHORT;
    journal_group_reserve(&w->group, JOURNAL_PAGE);
    if (!w->source.read(w->source.context, w->segment, 0, w->group.words, JOURNAL_PAGE))
        return JOURNAL_READ_FAILED;
    uint32_t bytes = 0;
    enum journal_fault fault = journal_segment_peek(w->group.words, file->bytes, &bytes);
    if (fault != JOURNAL_SOUND)
        return fault;
    journal_group_reserve(&w->group, bytes);
    if (bytes > JOURNAL_PAGE && !w->source.read(w->source.context, w->segment, JOURNAL_PAGE,
                                                (uint8_t *)w->group.words + JOURNAL_PAGE, bytes - JOURNAL_PAGE))
        return JOURNAL_READ_FAILED;
    fault = journal_segment_read(w->group.words, bytes, w->owner, file->first_lsn, file->bytes, header);
    file->header_bytes = bytes;
    return fault;
}

/* J11: segments that end before the oldest lsn of the last one may be missing, each by itself, and what is left of them is
 * not looked at. If the last header is damaged, the walk will come to that. */
static enum journal_fault segment_first(struct journal_walk *w)
{
    struct journal_segment last;
    w->segment = w->count - 1;
    enum journal_fault fault = segment_load(w, &last);
    while (fault == JOURNAL_SOUND && w->first < w->segment && w->files[w->first + 1].first_lsn <= last.oldest_lsn)
        w->first++;
    w->segment = w->first;
    w->began = true;
    return fault == JOURNAL_READ_FAILED ? fault : JOURNAL_SOUND;
}

static enum journal_fault segment_enter(struct journal_walk *w)
{
    struct journal_segment header;
    enum journal_fault fault = segment_load(w, &header);
    if (fault == JOURNAL_SOUND)
        fault = segment_follows(w, &header);
    if (fault != JOURNAL_SOUND)
        return fault;
    if (w->segment == w->first) {
        journal_segment_sticky(w->group.words, &header, &w->inherited);
        journal_segment_sticky(w->group.words, &header, &w->sticky);
    }
    w->incarnation = header.incarnation;
    w->oldest_lsn = header.oldest_lsn;
    w->segment_previous = header.previous;
    w->offset = header.header_bytes;
    w->entered = true;
    return JOURNAL_SOUND;
}

/* J7. */
static enum journal_fault group_follows(const struct journal_walk *w)
{
    const struct journal_group *g = &w->group;
    if (g->first_lsn != w->next_lsn)
        return JOURNAL_GROUP_GAP;
    if (g->previous != w->previous)
        return JOURNAL_GROUP_UNCHAINED;
    if (g->incarnation < w->incarnation)
        return JOURNAL_INCARNATION_FALLS;
    if (g->incarnation > w->owner->incarnation)
        return JOURNAL_LATER_INCARNATION;
    return JOURNAL_SOUND;
}

static void group_taken(struct journal_walk *w)
{
    const struct journal_group *g = &w->group;
    struct packet record;
    uint32_t offset = 0;
    for (uint32_t index = 0; journal_group_next(g, &offset, &index, &record);)
        journal_sticky_keep(&w->sticky, &record);
    w->last_segment = w->segment;
    w->last_offset = w->offset;
    w->last_bytes = journal_pages(g->len);
    w->last_is_mark = g->count == 0;
    w->offset += w->last_bytes;
    w->next_lsn += g->count;
    w->previous = g->checksum;
    w->incarnation = g->incarnation;
}

struct tail {
    uint64_t end;   /* after the last page that is not zero; where the scan began when all are zero */
    uint64_t proof; /* of the first valid group header after the first page; 0: none */
};

static bool page_is_zero(const uint64_t *page)
{
    uint64_t any = 0;
    for (size_t i = 0; i < JOURNAL_PAGE / sizeof *page; i++)
        any |= page[i];
    return any == 0;
}

/* J2 and J4: looks at every page from w->offset to the end of the segment. One valid header is proof: its group was started
 * only when those before it were durable. False: the segment could not be read. */
static bool tail_scan(struct journal_walk *w, struct tail *tail)
{
    const struct journal_file *file = &w->files[w->segment];
    struct journal_group found = {0};
    *tail = (struct tail){.end = w->offset};
    const size_t piece = (w->source.scan_bytes + JOURNAL_PAGE - 1) / JOURNAL_PAGE * JOURNAL_PAGE;
    journal_group_reserve(&w->group, piece);
    for (uint64_t at = w->offset; at < file->bytes; at += piece) {
        size_t len = file->bytes - at < piece ? (size_t)(file->bytes - at) : piece;
        if (!w->source.read(w->source.context, w->segment, at, w->group.words, len))
            return false;
        for (size_t page = 0; page < len; page += JOURNAL_PAGE) {
            const uint64_t *words = w->group.words + page / sizeof(uint64_t);
            struct journal_place place = {.owner = w->owner, .segment = file->first_lsn, .offset = at + page};
            if (page_is_zero(words))
                continue;
            tail->end = at + page + JOURNAL_PAGE;
            if (tail->proof == 0 && place.offset > w->offset && journal_group_header(words, &place, &found) == JOURNAL_SOUND)
                tail->proof = place.offset;
        }
    }
    return true;
}

/* There is no valid group at w->offset, for the reason given. Decides: the end, a torn tail, or corruption? Valid groups
 * never come here, so JOURNAL_STEP_GROUP means "go on with the next segment". */
static enum journal_step no_group(struct journal_walk *w, enum journal_fault fault)
{
    struct tail tail;
    bool last = w->segment + 1 == w->count;
    if (!tail_scan(w, &tail))
        return fail(w, JOURNAL_READ_FAILED, w->segment, w->offset);
    bool dirty = tail.end > w->offset;
    if (tail.proof > 0 || (dirty && !last)) {
        w->proven = true;
        w->proof_segment = tail.proof > 0 ? w->segment : w->segment + 1;
        w->proof_offset = tail.proof;
        return fail(w, tail.proof == 0 && fault == JOURNAL_NO_GROUP ? JOURNAL_TAIL : fault, w->segment, w->offset);
    }
    if (last) {
        w->torn_to = tail.end;
        return JOURNAL_STEP_END;
    }
    w->segment++;
    w->entered = false;
    return JOURNAL_STEP_GROUP;
}

enum journal_step journal_walk_next(struct journal_walk *w)
{
    if (!w->began && segment_first(w) != JOURNAL_SOUND)
        return fail(w, JOURNAL_READ_FAILED, w->count - 1, 0);
    for (;;) {
        if (!w->entered) {
            enum journal_fault fault = segment_enter(w);
            if (fault != JOURNAL_SOUND)
                return fail(w, fault, w->segment, 0);
            if (w->segment + 1 == w->count && w->files[w->first].first_lsn > w->oldest_lsn)
                return fail(w, JOURNAL_OLDEST_MISSING, w->first, 0);
        }
        enum journal_fault fault = journal_group_load(&w->group, w->source, w->owner, w->files, w->segment, w->offset);
        if (fault == JOURNAL_READ_FAILED)
            return fail(w, fault, w->segment, w->offset);
        if (fault == JOURNAL_SOUND) {
            fault = group_follows(w);
            if (fault != JOURNAL_SOUND)
                return fail(w, fault, w->segment, w->offset);
            group_taken(w);
            return JOURNAL_STEP_GROUP;
        }
        /* An interrupted write does not leave a valid header. */
        if (fault == JOURNAL_GROUP_TOO_LONG || fault == JOURNAL_GROUP_UNSOUND)
            return fail(w, fault, w->segment, w->offset);
        enum journal_step step = no_group(w, fault);
        if (step != JOURNAL_STEP_GROUP)
            return step;
    }
}

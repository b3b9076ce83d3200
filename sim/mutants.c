/* The table of mutants. What would be no mutant, since nothing that is promised breaks, is not in it:
 *
 *  - granting a lower ballot while the higher promise is kept: no vote follows from it;
 *  - taking a promise whose chunks are not contiguous: a proposer asks for them one after the other;
 *  - proposing or forwarding a batch once more: learners execute a batch number of an origin once (decision 0008);
 *  - a leader that goes on though it hears of a higher ballot: acceptors refuse it, and it follows as soon as it hears the new
 *    one, or as soon as no quorum answers it;
 *  - a leader that counts what it overhears, or needs no answers at all: it has no results either, and resigns a little later
 *    (unit tests look at both, and at a phase 1 that does not get on);
 *  - hearing what a sender said in an earlier life: it is still true;
 *  - keeping a value that arrives late, at a lower ballot: it is not released, and asked for again;
 *  - not checking where a group lies, or which one it follows: one from elsewhere fails at the other of the two;
 *  - not syncing the name of the identity's file: opening the journal syncs that folder, too, before the node says a word;
 *  - losing sticky records with their segment, not restoring the state's hash: no segment is removed, and no state is
 *    loaded, yet.
 *
 * And one that is a mutant, which worlds as they are would not catch in thousands of seeds: leaving a torn tail. What is left
 * of it does harm only at the end of a segment that rolls before anything is written over it. */
#include "sim/mutants.h"

#include <string.h>

#define CHECK(name) (UINT32_C(1) << CHECK_##name)

/* clang-format off */
const struct mutant_kind mutant_kinds[MUTANTS] = {
    [MUTANT_NONE] = {"", "", "", 0, ""},

    /* acceptor */
    [MUTANT_PROMISE_BEFORE_DURABLE] = {
        "promise-before-durable", "a promise leaves before its record is durable",
        "rule 2", CHECK(PROMISE_DURABLE), ""},
    [MUTANT_VOTE_BEFORE_DURABLE] = {
        "vote-before-durable", "a vote leaves before its record is durable",
        "rule 2", CHECK(VOTE_DURABLE), ""},
    [MUTANT_OWN_VOTE_BEFORE_DURABLE] = {
        "own-vote-before-durable", "a leader counts the vote of its own node before it is durable there",
        "rule 2, the coordinator's short-cut", CHECK(CHOSEN_TRUE), ""},
    [MUTANT_PROMISE_FORGOTTEN] = {
        "promise-forgotten", "recovery leaves promises out",
        "rule 2", CHECK(PROMISE_DURABLE), "restarts"},
    [MUTANT_VOTE_FORGOTTEN] = {
        "vote-forgotten", "recovery leaves votes out",
        "rule 2", CHECK(VOTE_DURABLE), "restarts"},
    [MUTANT_RESTORED_VOTE_PROMISES_NOTHING] = {
        "restored-vote-promises-nothing", "a vote that recovery finds does not raise the promise",
        "rule 2", CHECK(PROMISE_DURABLE), "restarts"},
    [MUTANT_VOTE_PROMISES_NOTHING] = {
        "vote-promises-nothing", "voting at a ballot does not raise the promise to it",
        "phase 2b", CHECK(PROMISE_DURABLE), ""},
    [MUTANT_PROMISE_FALLS] = {
        "promise-falls", "a lower ballot takes the place of the one promised",
        "phase 1b", CHECK(PROMISE_DURABLE), ""},
    [MUTANT_ACCEPT_BELOW_PROMISE] = {
        "accept-below-promise", "an acceptor votes below its promise",
        "phase 2b", CHECK(PROMISE_DURABLE), ""},
    [MUTANT_SAME_ROUND_ACCEPTED] = {
        "same-round-accepted", "an acceptor compares rounds only, not whose ballot it is",
        "rule 1", CHECK(PROMISE_DURABLE), ""},
    [MUTANT_CHOSEN_FORGOTTEN] = {
        "chosen-forgotten", "acceptors forget what is chosen, whether learners hold it or not",
        "rule 10", CHECK(TRUNCATION_SAFE), ""},
    [MUTANT_FORGOTTEN_IS_NO_VOTE] = {
        "forgotten-is-no-vote", "an acceptor tells of slots that it forgot as if it had never voted there",
        "rule 4", CHECK(VOTE_DURABLE) | CHECK(AGREEMENT), ""},
    [MUTANT_REVOTE_NOT_ANSWERED] = {
        "revote-not-answered", "an acceptor that is asked again for a vote that it has cast says nothing",
        "liveness", CHECK(LIVENESS_AFTER_HEAL), "lost messages"},
    [MUTANT_NACK_BEFORE_DURABLE] = {
        "nack-before-durable", "a refusal tells of a promise before its record is durable",
        "rule 2", CHECK(PROMISE_DURABLE), ""},
    [MUTANT_FLOOR_NOT_RECORDED] = {
        "floor-not-recorded", "what an acceptor has forgotten it believes after a restart never to have had",
        "rule 4", CHECK(LIVENESS_AFTER_HEAL) | CHECK(AGREEMENT) | CHECK(BOUNDS), "restarts"},

    /* proposer */
    [MUTANT_BALLOT_WITHOUT_LIFE] = {
        "ballot-without-life", "ballots do not tell the lives of a node apart",
        "rule 1", CHECK(BALLOT_UNIQUE), "restarts"},
    [MUTANT_ROUND_NOT_RAISED] = {
        "round-not-raised", "a proposer that prepares again does so in the round heard of, not above it",
        "phase 1a", CHECK(BALLOT_UNIQUE) | CHECK(ONE_VALUE_PER_BALLOT) | CHECK(LIVENESS_AFTER_HEAL), ""},
    [MUTANT_FIRST_VOTE_ADOPTED] = {
        "first-vote-adopted", "of the votes told for a slot the first one counts",
        "phase 2a", CHECK(AGREEMENT), ""},
    [MUTANT_LAST_VOTE_ADOPTED] = {
        "last-vote-adopted", "of the votes told for a slot the last one counts",
        "phase 2a", CHECK(AGREEMENT), ""},
    [MUTANT_VOTES_NOT_ADOPTED] = {
        "votes-not-adopted", "a new leader proposes what it likes where votes were told",
        "phase 2a", CHECK(AGREEMENT), ""},
    [MUTANT_VOTE_BECOMES_NOOP] = {
        "vote-becomes-noop", "a new leader fills slots with no-ops where votes were told",
        "rule 4", CHECK(AGREEMENT), ""},
    [MUTANT_PHASE1_QUORUM_SHORT] = {
        "phase1-quorum-short", "one promise too few makes a leader",
        "rule 4", CHECK(PROMISE_DURABLE) | CHECK(AGREEMENT), ""},
    [MUTANT_PHASE2_QUORUM_SHORT] = {
        "phase2-quorum-short", "one vote too few chooses",
        "rule 6", CHECK(CHOSEN_TRUE), ""},
    [MUTANT_PROMISE_OF_ANY_BALLOT] = {
        "promise-of-any-ballot", "a promise of an earlier ballot of the proposer counts for a later one",
        "phase 1b", CHECK(PROMISE_DURABLE) | CHECK(AGREEMENT), "late messages"},
    [MUTANT_LAST_CHUNK_NOT_AWAITED] = {
        "last-chunk-not-awaited", "a promise counts with its first chunk",
        "rule 4", CHECK(AGREEMENT), "promises of several chunks"},
    [MUTANT_FLOOR_IGNORED] = {
        "floor-ignored", "a new leader takes slots that acceptors forgot for free",
        "rule 4", CHECK(AGREEMENT) | CHECK(LIVENESS_AFTER_HEAL), ""},
    [MUTANT_VOTE_COUNTED_TWICE] = {
        "vote-counted-twice", "a vote that comes twice counts twice",
        "rule 6", CHECK(CHOSEN_TRUE), "doubled messages"},
    [MUTANT_VOTE_OF_ANY_BALLOT] = {
        "vote-of-any-ballot", "votes at earlier ballots of the leader count, too",
        "rule 6; as in Raft without the rule of figure 8 (Ongaro, Ousterhout 2014)", CHECK(CHOSEN_TRUE), "late messages"},
    [MUTANT_SETTLED_AT_OWN_BALLOT] = {
        "settled-at-own-ballot", "a leader tells slots that it only settled as chosen at its ballot",
        "decision 0011", CHECK(CHOSEN_TRUE), ""},
    [MUTANT_WINDOW_NOT_KEPT] = {
        "window-not-kept", "a new leader proposes all that it recovered at once",
        "rule 5", CHECK(BOUNDS), ""},
    [MUTANT_PROMISE_PROGRESS_KEPT] = {
        "promise-progress-kept", "a proposer that prepares again goes on where an acceptor's promise of the ballot before had got to",
        "rule 4", CHECK(AGREEMENT), "promises of several chunks"},

    /* proposer agent */
    [MUTANT_PROPOSED_IS_CHOSEN] = {
        "proposed-is-chosen", "a leader tells what it proposed as chosen",
        "rule 6", CHECK(CHOSEN_TRUE), ""},
    [MUTANT_FLOOR_OF_ONE_LEARNER] = {
        "floor-of-one-learner", "acceptors forget what one learner holds",
        "rule 10", CHECK(TRUNCATION_SAFE), ""},
    [MUTANT_FLOOR_NOT_DURABLE] = {
        "floor-not-durable", "acceptors forget what learners executed and do not hold yet",
        "rule 10", CHECK(TRUNCATION_SAFE), ""},
    [MUTANT_PREPARED_FROM_EXECUTED] = {
        "prepared-from-executed", "a new leader leaves out what one learner has executed",
        "rule 4, decision 0011", CHECK(LIVENESS_AFTER_HEAL), "a node that does not come back"},
    [MUTANT_LEARNERS_OUTRUN] = {
        "learners-outrun", "a leader does not wait for learners to execute",
        "rule 16", CHECK(BOUNDS), ""},
    [MUTANT_NACK_IGNORED] = {
        "nack-ignored", "a leader does not hear that a higher ballot is promised",
        "liveness", CHECK(LIVENESS_AFTER_HEAL), ""},
    [MUTANT_ACCEPT_NOT_REPEATED] = {
        "accept-not-repeated", "what got no votes is never sent again",
        "liveness", CHECK(LIVENESS_AFTER_HEAL), "lost messages"},
    [MUTANT_PREPARE_NOT_REPEATED] = {
        "prepare-not-repeated", "what got no promises is never sent again",
        "liveness", CHECK(LIVENESS_AFTER_HEAL), "lost messages"},
    [MUTANT_UNKNOWN_IS_REFUSED] = {
        "unknown-is-refused", "a client that waited too long is told that nothing happened",
        "rule 8", CHECK(AT_MOST_ONCE) | CHECK(LINEARIZABILITY), ""},
    [MUTANT_FORGOTTEN_IS_REFUSED] = {
        "forgotten-is-refused", "a client whose result nobody remembers is told that nothing happened",
        "rule 8", CHECK(AT_MOST_ONCE) | CHECK(LINEARIZABILITY), ""},
    [MUTANT_RESULT_OF_EARLIER_LIFE] = {
        "result-of-earlier-life", "a result for the same batch number of an earlier life is taken for an answer",
        "rule 8", CHECK(LINEARIZABILITY) | CHECK(CHOSEN_TRUE), "restarts, late messages"},
    [MUTANT_BYTES_NOT_COUNTED] = {
        "bytes-not-counted", "a leader looks at the bytes in flight once a step, not with each batch",
        "rule 16", CHECK(BOUNDS), ""},
    [MUTANT_RESULTS_NOT_AWAITED] = {
        "results-not-awaited", "a leader that gives no results does not resign",
        "rule 15", CHECK(LIVENESS_WHILE_CUT), "proposals that are lost for good"},
    [MUTANT_UNFIT_FOR_EVER] = {
        "unfit-for-ever", "a proposer whose attempt came to nothing never tries again",
        "rule 15", CHECK(LIVENESS_WHILE_CUT) | CHECK(LIVENESS_AFTER_HEAL), ""},
    [MUTANT_LOST_ALWAYS] = {
        "lost-always", "an acceptor says that it has lost its leader, whether it has or not",
        "rule 15", CHECK(LIVENESS_WHILE_CUT), "lasting partitions"},
    [MUTANT_OUT_OVERDUE_QUEUED] = {
        "out-overdue-queued", "learners are asked what became of batches that were never proposed",
        "decision 0008", CHECK(VALIDITY), ""},
    [MUTANT_CREDIT_OF_EARLIER_LEADER] = {
        "credit-of-earlier-leader", "batches forwarded to a leader that is gone go on to take credit",
        "decision 0022", CHECK(ACCOUNTS), "changes of leader"},
    [MUTANT_FORWARDED_BYTES_NOT_FREED] = {
        "forwarded-bytes-not-freed", "bytes of forwarded batches that were proposed go on to count as waiting",
        "what one receives is given back", CHECK(ACCOUNTS), "forwarding"},
    [MUTANT_OUTRUN_BY_ONE] = {
        "outrun-by-one", "one slot more is given out than a majority of the learners can follow",
        "rule 16, off by one", CHECK(BOUNDS), ""},
    [MUTANT_ANSWERED_LONG_AGO] = {
        "answered-long-ago", "a new leader goes by when acceptors answered its last leadership",
        "rule 15", CHECK(LIVENESS_AFTER_HEAL), "changes of leader"},

    [MUTANT_NEW_LIFE_STANDS_BACK] = {
        "new-life-stands-back", "a proposer that is started again stands back as if it had failed, for some time",
        "rule 15", CHECK(LIVENESS_GAP), "nodes that end one after the other, and nothing else"},

    /* learner and its agent */
    [MUTANT_VOTES_MIXED] = {
        "votes-mixed", "votes at different ballots choose together",
        "rule 6", CHECK(CHOSEN_TRUE) | CHECK(AGREEMENT), ""},
    [MUTANT_ONE_VOTE_SUFFICES] = {
        "one-vote-suffices", "a learner takes one vote for a choice",
        "rule 6", CHECK(CHOSEN_TRUE) | CHECK(AGREEMENT), ""},
    [MUTANT_VALUE_OF_ANY_BALLOT] = {
        "value-of-any-ballot", "a learner executes the value that it has in a slot that is chosen, of whichever ballot",
        "rule 6", CHECK(CHOSEN_TRUE) | CHECK(AGREEMENT) | CHECK(PREFIX_EQUALITY), ""},
    [MUTANT_VALUE_BEFORE_CHOSEN] = {
        "value-before-chosen", "a learner executes, and answers, before a value is chosen",
        "rule 6", CHECK(CHOSEN_TRUE) | CHECK(AGREEMENT) | CHECK(PREFIX_EQUALITY), ""},
    [MUTANT_GAP_SKIPPED] = {
        "gap-skipped", "a learner executes nothing where it lacks a value",
        "rule 7", CHECK(CHOSEN_TRUE) | CHECK(AGREEMENT) | CHECK(PREFIX_EQUALITY), ""},
    [MUTANT_FIRST_VALUE_KEPT] = {
        "first-value-kept", "of a slot's values the first one that arrives, or that recovery finds, is kept",
        "rule 6, decision 0006",
        CHECK(CHOSEN_TRUE) | CHECK(AGREEMENT) | CHECK(PREFIX_EQUALITY) | CHECK(RECOVERY) | CHECK(LIVENESS_AFTER_HEAL), ""},
    [MUTANT_VOTES_LEARNED_AS_CHOSEN] = {
        "votes-learned-as-chosen", "an acceptor's votes are learned as if they were chosen",
        "rule 7", CHECK(CHOSEN_TRUE) | CHECK(AGREEMENT), "roles apart"},
    [MUTANT_VOTES_SERVED_AS_CHOSEN] = {
        "votes-served-as-chosen", "a learner serves slots that it has not executed",
        "rule 7", CHECK(CHOSEN_TRUE) | CHECK(AGREEMENT), ""},
    [MUTANT_FIRST_RECORD_SERVED] = {
        "first-record-served", "a learner serves the first record of a slot, not that of the highest ballot",
        "decision 0006", CHECK(CHOSEN_TRUE) | CHECK(AGREEMENT), ""},
    [MUTANT_GAP_NOT_ASKED] = {
        "gap-not-asked", "a learner never asks for what it lacks",
        "rule 7", CHECK(LIVENESS_AFTER_HEAL), ""},
    [MUTANT_RECORD_OF_ANY_BALLOT] = {
        "record-of-any-ballot", "a learner takes a slot for held whose record has another ballot's value",
        "decision 0006", CHECK(TRUNCATION_SAFE) | CHECK(RECOVERY) | CHECK(PREFIX_EQUALITY), ""},
    [MUTANT_VALUE_NOT_RECORDED] = {
        "value-not-recorded", "a learner does not record what it learned from others",
        "decision 0006", CHECK(TRUNCATION_SAFE) | CHECK(RECOVERY), ""},
    [MUTANT_MARK_TOO_LATE] = {
        "mark-too-late", "a learner marks more slots at once than recovery can hold",
        "decision 0006", CHECK(TRUNCATION_SAFE) | CHECK(RECOVERY), ""},
    [MUTANT_KNOWN_IS_HELD] = {
        "known-is-held", "a learner says that it holds what it only knows to be chosen",
        "rule 10", CHECK(TRUNCATION_SAFE), ""},
    [MUTANT_RESULT_BY_SLOT] = {
        "result-by-slot", "a learner answers for a slot, whichever batch was asked about",
        "rule 8", CHECK(CHOSEN_TRUE) | CHECK(LINEARIZABILITY), ""},
    [MUTANT_BATCH_EXECUTED_TWICE] = {
        "batch-executed-twice", "a batch that is chosen twice is executed twice",
        "rule 8, decision 0008",
        CHECK(AT_MOST_ONCE) | CHECK(PREFIX_EQUALITY) | CHECK(LINEARIZABILITY), "forwarding, doubled messages"},
    [MUTANT_STATE_OF_THE_MOMENT] = {
        "state-of-the-moment", "the state depends on how execution was cut into steps",
        "rule 13, decision 0012", CHECK(PREFIX_EQUALITY), ""},
    [MUTANT_STATES_NOT_COMPARED] = {
        "states-not-compared", "a learner takes every state for its own",
        "rule 13, decision 0024", CHECK(LIVENESS_AFTER_HEAL), "a node whose state differs"},
    [MUTANT_MARK_BRIDGES_GAP] = {
        "mark-bridges-gap", "slots that a leader only settled count as chosen at its ballot, between two of its marks",
        "rule 6, decision 0011", CHECK(AGREEMENT) | CHECK(CHOSEN_TRUE) | CHECK(PREFIX_EQUALITY), "a leader that is deaf for those above it"},
    [MUTANT_RECORD_BETWEEN_PIECES_LOST] = {
        "record-between-pieces-lost", "what a learner reads back for a peer lacks the first record of each further piece",
        "rule 7", CHECK(CHOSEN_TRUE) | CHECK(AGREEMENT) | CHECK(LIVENESS_AFTER_HEAL), "small pieces"},

    [MUTANT_BLOCK_CUT_SHORT] = {
        "block-cut-short", "of a block of slots that a peer asks for, the last record is left out",
        "rule 7", CHECK(LIVENESS_AFTER_HEAL) | CHECK(CHOSEN_TRUE), ""},
    [MUTANT_LATER_LIFE_SKIPPED] = {
        "later-life-skipped", "batches of a node that was started again are left out until its numbers get higher than before",
        "rule 8, decision 0008", CHECK(AT_MOST_ONCE), "restarts"},
    [MUTANT_REQUEST_DOUBLE] = {
        "request-double", "a peer that asks again is served twice, and takes the room of others",
        "catching up", CHECK(ACCOUNTS), "small limits"},
    [MUTANT_APPLY_ONCE_MORE] = {
        "apply-once-more", "a batch that takes several steps has one command executed once more for each",
        "rule 8", CHECK(PREFIX_EQUALITY) | CHECK(LINEARIZABILITY), "small limits"},
    [MUTANT_RESULTS_LEAK] = {
        "results-leak", "results are remembered for ever",
        "bounded memory", CHECK(ACCOUNTS), ""},
    [MUTANT_REPLY_ROOM_NOT_KEPT] = {
        "reply-room-not-kept", "each call to the state machine has all the room of the replies of a batch",
        "bounded replies", CHECK(PREFIX_EQUALITY), "small limits"},
    [MUTANT_HELD_TOO_EARLY] = {
        "held-too-early", "a learner says that it holds a slot one record too early",
        "rule 4", CHECK(TRUNCATION_SAFE), ""},
    [MUTANT_MARK_OF_ANOTHER] = {
        "mark-of-another", "the word of another leader is added to that of the last one",
        "learner.c", CHECK(AGREEMENT) | CHECK(PREFIX_EQUALITY), "changes of leader"},

    /* state machine */
    [MUTANT_OOM_REMOVES] = {
        "oom-removes", "a value for which there is no room takes the one before with it",
        "a refusal has no effect", CHECK(LINEARIZABILITY), "small states"},
    [MUTANT_BUSY_CHANGES] = {
        "busy-changes", "GETSET sets though it cannot answer with what was there",
        "a refusal has no effect", CHECK(LINEARIZABILITY), "small limits"},

    /* what others may say */
    [MUTANT_SENDER_NOT_ASKED] = {
        "sender-not-asked", "a ballot may be used by whoever sends it, and need not be of a proposer",
        "rule 1", CHECK(BALLOT_UNIQUE) | CHECK(PROMISE_DURABLE) | CHECK(LIVENESS_AFTER_HEAL) | CHECK(TRAP), "hostile messages"},
    [MUTANT_ROUND_NOT_BOUNDED] = {
        "round-not-bounded", "a round is promised however far it is beyond all others",
        "rule 1", CHECK(BALLOT_UNIQUE) | CHECK(LIVENESS_AFTER_HEAL), "hostile messages"},

    /* runner */
    [MUTANT_HELD_FULL_LETS_OUT] = {
        "held-full-lets-out", "a message for which there is no room to wait for the disk leaves at once",
        "rule 2", CHECK(PROMISE_DURABLE) | CHECK(VOTE_DURABLE), "small limits"},
    [MUTANT_HELD_BYTES_NOT_FREED] = {
        "held-bytes-not-freed", "bytes of messages that have left go on to count as held",
        "what one takes is given back", CHECK(ACCOUNTS), ""},
    [MUTANT_UNSYNCED_NOT_FREED] = {
        "unsynced-not-freed", "bytes of records that are durable go on to count as waiting",
        "what one takes is given back", CHECK(ACCOUNTS) | CHECK(LIVENESS_AFTER_HEAL), "small limits"},
    [MUTANT_RELEASED_LATE] = {
        "released-late", "a message waits for one record more than it tells of",
        "liveness", CHECK(LIVENESS_AFTER_HEAL), ""},

    /* journal and data folder */
    [MUTANT_TORN_GROUP_TAKEN] = {
        "torn-group-taken", "a group is taken without a look at its records' checksum",
        "rule 3 of core/formats/journal.h", CHECK(RECOVERY), "torn writes"},
    [MUTANT_DAMAGE_CUT] = {
        "damage-cut", "damage in the middle of the journal is cut off as a torn tail would be",
        "rule 2 of core/formats/journal.h; Kafka among others (Ganesan et al. 2017)", CHECK(RECOVERY), "damaged disks"},
    [MUTANT_ONE_PIECE_SCANNED] = {
        "one-piece-scanned", "what proves that a damaged place was sound is looked for in one piece of the segment only",
        "rule 2 of core/formats/journal.h", CHECK(RECOVERY), "damaged disks, small limits"},
    [MUTANT_LAST_GROUP_TRUSTED] = {
        "last-group-trusted", "the last group counts as durable because it can be read",
        "rule 10 of core/formats/journal.h", CHECK(RECOVERY), "failed syncs, power that goes"},
    [MUTANT_FAILED_SYNC_REPEATED] = {
        "failed-sync-repeated", "a sync that failed is tried again",
        "rule 14; PostgreSQL until 2019", CHECK(RECOVERY), "failed syncs, power that goes"},
    [MUTANT_GROUP_NOT_SYNCED] = {
        "group-not-synced", "groups are written and not synced",
        "rule 2", CHECK(RECOVERY), "power that goes"},
    [MUTANT_SEGMENT_NAME_NOT_SYNCED] = {
        "segment-name-not-synced", "the name of a new segment is neither synced nor remembered",
        "rule 8 of core/formats/journal.h; many had that (Pillai et al. 2014)", CHECK(RECOVERY), "power that goes"},
    [MUTANT_SEGMENT_REMEMBERED_EARLY] = {
        "segment-remembered-early", "the newest segment is remembered before it has its name",
        "docs/disk-format.md", CHECK(RECOVERY), "power that goes"},
    [MUTANT_READ_FROM_WHERE_IT_STOPPED] = {
        "read-from-where-it-stopped", "reading back goes on where it stopped last, also when older records are wanted",
        "rule 7", CHECK(LIVENESS_AFTER_HEAL) | CHECK(RECOVERY), ""},
    [MUTANT_LIFE_NOT_COUNTED] = {
        "life-not-counted", "a node that starts again believes to be in the life before",
        "rule 1", CHECK(BALLOT_UNIQUE), "restarts"},
    [MUTANT_LIFE_NOT_SYNCED] = {
        "life-not-synced", "the count of lives is renamed into place before it is synced",
        "rule 1", CHECK(RECOVERY) | CHECK(BALLOT_UNIQUE), "power that goes"},
    [MUTANT_NONCE_NOT_COMPARED] = {
        "nonce-not-compared", "two lives with one incarnation are taken for the same",
        "rule 12", CHECK(LIFE_UNIQUE), "a disk that is put back"},
    [MUTANT_PEERS_LIFE_NOT_KEPT] = {
        "peers-life-not-kept", "which lives of others were heard is forgotten with one's own",
        "rule 12", CHECK(LIFE_UNIQUE), "a disk that is put back, and restarts"},
    [MUTANT_GOVERNED_NOT_COMPARED] = {
        "governed-not-compared", "a node starts with other governed settings than its folder remembers",
        "decision 0026", CHECK(AGREEMENT) | CHECK(PROMISE_DURABLE) | CHECK(CHOSEN_TRUE) | CHECK(LINEARIZABILITY), "files that are changed"},
    [MUTANT_INSTANCE_NOT_COMPARED] = {
        "instance-not-compared", "whoever says that it is a node is believed, whatever its folder",
        "decision 0021", CHECK(LIFE_UNIQUE), "hostile greetings"},
    [MUTANT_LATE_LIFE_TAKEN] = {
        "late-life-taken", "a life is believed however many boots it is beyond the one known",
        "decision 0021", CHECK(LIFE_UNIQUE), "hostile greetings"},
};
/* clang-format on */

enum mutant mutant_find(const char *name)
{
    enum mutant found = MUTANT_NONE + 1;
    while (found < MUTANTS && strcmp(mutant_kinds[found].name, name) != 0)
        found++;
    return found;
}

bool mutant_choose(enum mutant mutant)
{
#ifdef SYNOD_MUTANTS
    mutant_on = mutant;
    return true;
#else
    return mutant == MUTANT_NONE;
#endif
}

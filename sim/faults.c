/* The table of faults: what each must lead to. It is what `synod-sim` is judged by, so it says no more than the design
 * promises (sections 4 and 5 there; docs/disk-format.md says what recovery can and cannot notice).
 *
 * "A minority" of nodes means: so few that the others still have both quorums of acceptors and a majority of learners.
 * What loses no durable record may strike any number of nodes at once: then the cluster may have to wait, but must not
 * err. What takes durable records away from a node counts as a lost disk (P12), of which no more than a minority may
 * ever come about. */
#include "sim/faults.h"

#include <string.h>

#define ANY      "any number"
#define MINORITY "a minority, of acceptors and of learners"

/* `make format` would fill this table to one cell a line. */
/* clang-format off */
const struct fault_kind fault_kinds[FAULTS] = {
    /* ---- network ---- */
    [FAULT_DROP] = {"drop", "network", FAULT_TOLERATED, ANY,
        "what mattered is sent again: votes by the leader, gaps by learners, results by the batch's origin"},
    [FAULT_DELAY] = {"delay", "network", FAULT_TOLERATED, ANY,
        "answers take longer; a leader that is not heard for suspect_timeout_ms loses its followers"},
    [FAULT_REORDER] = {"reorder", "network", FAULT_TOLERATED, ANY,
        "every message is judged by its ballot and its slots, whichever came before it"},
    [FAULT_DUPLICATE] = {"duplicate", "network", FAULT_TOLERATED, ANY,
        "every handler bears doubles: no vote counts twice, no batch is proposed or executed twice"},
    [FAULT_REPLAY] = {"replay", "network", FAULT_TOLERATED, ANY,
        "a ballot below the promised one is refused, a chosen slot keeps its value, and an answer that nobody waits for "
        "is left out"},
    [FAULT_CUT_ONE_WAY] = {"cut-one-way", "network", FAULT_TOLERATED, ANY,
        "a leader that hears no quorum resigns; one that is not heard is replaced by those who miss it"},
    [FAULT_CUT] = {"cut", "network", FAULT_TOLERATED, ANY,
        "the side with both quorums and a majority of learners goes on; the other answers nothing and catches up later"},
    [FAULT_BRIDGE] = {"bridge", "network", FAULT_TOLERATED, "one node reaches both groups",
        "leadership settles with whoever reaches a quorum; two that lead at once do so at different ballots"},
    [FAULT_ISOLATED_LEADER] = {"isolated-leader", "network", FAULT_TOLERATED, "the node that leads",
        "it resigns and answers nothing that was not chosen; the others elect another leader"},
    [FAULT_SIEVE] = {"sieve", "network", FAULT_TOLERATED, ANY,
        "as cut: what passes is true and judged by itself, whatever else its receiver has missed; a leader that hears how far "
        "learners are, and not that another one leads, says no more than it knows"},
    [FAULT_HOSTILE] = {"hostile", "network", FAULT_TOLERATED, ANY,
        "rounds, slots, floors and ballots beyond all reach, or not the sender's to use, are refused; what else it says is "
        "over with the next true word"},
    [FAULT_HOSTILE_GREETING] = {"hostile-greeting", "network", FAULT_TOLERATED, ANY,
        "another folder, an earlier life, another one of the same number and one that is far too late are refused, and change nothing "
        "of what is known: the true node is heard (decision 0021)"},
    [FAULT_HALF_OPEN] = {"half-open", "network", FAULT_TOLERATED, ANY,
        "what is sent into the dead connection is lost, as by cut-one-way, until there is another one"},
    [FAULT_STALLED_READER] = {"stalled-reader", "network", FAULT_TOLERATED, ANY,
        "queues to it fill up to peer_queue_bytes_max and drop what is beyond; it is lost to the others for a while, then "
        "reads messages that are long out of date"},
    [FAULT_RESET] = {"reset", "network", FAULT_TOLERATED, ANY,
        "a part of a frame is never taken for a frame; what was under way is lost, and the sender connects again"},
    [FAULT_LASTING_CUT] = {"lasting-cut", "network", FAULT_TOLERATED, ANY,
        "while a proposer reaches quorums and they reach it, one such proposer leads, and goes on to (P15)"},
    [FAULT_BLACK_HOLE] = {"black-hole", "network", FAULT_TOLERATED, ANY,
        "a leader whose proposals get lost has no results and resigns; one whose proposals arrive takes its place"},
    /* ---- disk ---- */
    [FAULT_LOST_WRITES] = {"lost-writes", "disk", FAULT_TOLERATED, ANY,
        "no promise, vote or answer left the node that rested on them (P2): it comes back as it was at its last sync"},
    [FAULT_TORN_WRITE] = {"torn-write", "disk", FAULT_TOLERATED, ANY,
        "recovery cuts the torn tail, which nothing rested on: zeroed, synced, logged and counted"},
    [FAULT_REORDERED_WRITES] = {"reordered-writes", "disk", FAULT_TOLERATED, ANY,
        "one group is in flight at a time, so only the last group can be there in parts: a torn tail"},
    [FAULT_MISDIRECTED_WRITE] = {"misdirected-write", "disk", FAULT_REFUSED, MINORITY,
        "recovery and reading back stop the node, naming file and offset: a group is sound only at its own place. A last "
        "group gone astray looks like a torn tail and is counted apart"},
    [FAULT_FLIPPED_BYTE] = {"flipped-byte", "disk", FAULT_REFUSED, MINORITY,
        "the node refuses to start (exit code 3), naming file and offset, and stops when it reads the byte back. In the "
        "last group, with no mark after it, it looks like a torn tail and is counted apart"},
    [FAULT_READ_ERROR] = {"read-error", "disk", FAULT_REFUSED, ANY,
        "the node does not start, or stops (exit code 3), naming the file; nothing is lost, and it may be started again"},
    [FAULT_WRITE_ERROR] = {"write-error", "disk", FAULT_REFUSED, ANY,
        "the node does not start, or stops, naming the file (in the journal exit code 4, as after a failed sync): what "
        "was not durable has promised nothing, and it may be started again"},
    [FAULT_FULL_DISK] = {"full-disk", "disk", FAULT_TOLERATED, ANY,
        "a node does not start; one that runs keeps what it has to write until there is room (decision 0020), as with "
        "stalled-disk"},
    [FAULT_SLOW_DISK] = {"slow-disk", "disk", FAULT_TOLERATED, ANY,
        "larger groups, later answers: whatever waits for a record waits longer"},
    [FAULT_STALLED_DISK] = {"stalled-disk", "disk", FAULT_TOLERATED, ANY,
        "a leader whose disk has not synced for dead_timeout_ms resigns (P15); others do not vote meanwhile"},
    [FAULT_HUNG_DISK] = {"hung-disk", "disk", FAULT_TOLERATED, ANY,
        "as stalled-disk, for minutes or until the node is started again: what was not synced promised nothing; when it comes "
        "back it goes on where it was"},
    [FAULT_FAILED_SYNC] = {"failed-sync", "disk", FAULT_REFUSED, ANY,
        "final (P14): nothing becomes durable after it and the node stops with exit code 4. Started again, it writes "
        "its last group once more and syncs before anything that it read counts"},
    [FAULT_LOST_RENAME] = {"lost-rename", "disk", FAULT_TOLERATED, ANY,
        "the folder is synced after a rename and before anything rests on it, so the old name still has all that was "
        "durable"},
    [FAULT_LOST_DISK] = {"lost-disk", "disk", FAULT_REFUSED, MINORITY,
        "start refuses a folder that is not formatted (exit code 3): the node never votes again (P12), and what it "
        "held counts no longer"},
    [FAULT_OLD_DISK] = {"old-disk", "disk", FAULT_OUTSIDE, MINORITY,
        "a node cannot know what it has forgotten, but those who heard a later life of it do (durably, so it does not matter who was "
        "started again): they refuse it, and it ends; such a node is counted as lost"},
    /* ---- clock ---- */
    [FAULT_DRIFT] = {"drift", "clock", FAULT_TOLERATED, ANY,
        "time-outs come early or late; no promise rests on a clock (no leases)"},
    [FAULT_JUMP] = {"jump", "clock", FAULT_TOLERATED, ANY,
        "time-outs end at once: a leader is suspected that lives, batches are called unknown; no promise is broken"},
    [FAULT_PAUSE] = {"pause", "clock", FAULT_TOLERATED, ANY,
        "the others replace a leader that pauses; when it goes on, higher ballots refuse what it sends"},
    /* ---- process ---- */
    [FAULT_CRASH] = {"crash", "process", FAULT_TOLERATED, ANY,
        "all that a node said rests on durable records; it comes back in a later life, and its clients are told that the "
        "outcome is unknown"},
    [FAULT_RESTART_STORM] = {"restart-storm", "process", FAULT_TOLERATED, ANY,
        "each start makes its incarnation durable before the node speaks: no two lives share a ballot or a batch number "
        "(P1 and P8)"},
    [FAULT_LONG_PAUSE] = {"long-pause", "process", FAULT_TOLERATED, ANY,
        "as pause; the turn that still has the old time may act as if it led, and higher ballots refuse it"},
    [FAULT_RECONFIGURED] = {"reconfigured", "process", FAULT_TOLERATED, ANY,
        "settings that may differ between nodes change nothing of what is promised: what one life wrote, the next one "
        "reads"},
    [FAULT_REGOVERNED] = {"regoverned", "process", FAULT_TOLERATED, ANY,
        "the start is refused (exit code 2), naming the key; with the old value it comes back as it was (decision 0026)"},
    /* ---- component ---- */
    [FAULT_TRAP] = {"trap", "component", FAULT_TOLERATED, ANY,
        "the node ends with exit code 1 and a log line; what the turn had not handed out yet never leaves it, nor anything "
        "that it held. Started again, it is as after a crash"},
    [FAULT_ENDLESS_LOOP] = {"endless-loop", "component", FAULT_TOLERATED, ANY,
        "the turn is ended after turn_timeout_ms and the node with it, as by a trap"},
    [FAULT_MEMORY_LIMIT] = {"memory-limit", "component", FAULT_TOLERATED, ANY,
        "a component that wants more than memory_bytes_max traps; the host and other nodes go on"},
    [FAULT_GARBAGE] = {"garbage", "component", FAULT_TOLERATED, ANY,
        "bytes that mean nothing are refused where they are read: a body that is no message is left out by its receivers "
        "and logged, a record longer or shorter than it says ends the node, replies that do not fit are answered as "
        "unknown"},
    [FAULT_SPARE] = {"spare", "component", FAULT_TOLERATED, ANY,
        "the spare boots as another life, after the writes in flight have settled; what the old instance held is "
        "discarded, and its clients are told that the outcome is unknown"},
    [FAULT_OTHER_STATE] = {"other-state", "component", FAULT_REFUSED, MINORITY,
        "learners compare the hashes of their states: the node stops (exit code 6), naming the slot, and the others go on "
        "(P13)"},
};
/* clang-format on */

enum fault fault_find(const char *name)
{
    for (uint32_t kind = 0; kind < FAULTS; kind++)
        if (strcmp(fault_kinds[kind].name, name) == 0)
            return (enum fault)kind;
    return FAULTS;
}

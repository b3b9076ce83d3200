/* The table of faults: what each must lead to. `synod-sim` is judged by it, so it says no more than what is promised
 * (docs/rules.md; docs/disk-format.md says what recovery can and cannot notice).
 *
 * "A minority" of nodes means: so few that the others still have both quorums of acceptors and a majority of learners. A
 * fault that loses no durable record may happen on any number of nodes at once: then the cluster may have to wait, but must
 * not err. A fault that takes durable records away from a node counts as a lost disk (P12); that must happen on a minority
 * only. */
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
        "every handler tolerates duplicates: no vote counts twice, no batch is proposed or executed twice"},
    [FAULT_REPLAY] = {"replay", "network", FAULT_TOLERATED, ANY,
        "a ballot below the promised one is refused, a chosen slot keeps its value, and an answer that is not awaited is "
        "dropped"},
    [FAULT_CUT_ONE_WAY] = {"cut-one-way", "network", FAULT_TOLERATED, ANY,
        "a leader that hears no quorum resigns; the nodes that do not hear a leader replace it"},
    [FAULT_CUT] = {"cut", "network", FAULT_TOLERATED, ANY,
        "the side with both quorums and a majority of learners goes on; the other side answers nothing and catches up "
        "later"},
    [FAULT_BRIDGE] = {"bridge", "network", FAULT_TOLERATED, "one node reaches both groups",
        "a node that reaches a quorum comes to lead; two that lead at the same time do so at different ballots"},
    [FAULT_ISOLATED_LEADER] = {"isolated-leader", "network", FAULT_TOLERATED, "the node that leads",
        "it resigns and answers nothing that was not chosen; the others elect another leader"},
    [FAULT_SIEVE] = {"sieve", "network", FAULT_TOLERATED, ANY,
        "as cut: what passes is true and judged by itself, whatever else its receiver missed; a leader that hears the "
        "learners' progress, but not that another node leads, says no more than it knows"},
    [FAULT_HOSTILE] = {"hostile", "network", FAULT_TOLERATED, ANY,
        "rounds, slots, floors and ballots that are beyond reach, or not the sender's to use, are refused; all else "
        "loses its effect with the next true message"},
    [FAULT_HOSTILE_GREETING] = {"hostile-greeting", "network", FAULT_TOLERATED, ANY,
        "another folder, an earlier life, another life of the same number and one that is far too late are refused, and "
        "change nothing that is known: the true node is heard (decision 0021)"},
    [FAULT_HALF_OPEN] = {"half-open", "network", FAULT_TOLERATED, ANY,
        "what is sent into the dead connection is lost, as by cut-one-way, until there is another one"},
    [FAULT_STALLED_READER] = {"stalled-reader", "network", FAULT_TOLERATED, ANY,
        "queues to it fill up to peer_queue_bytes_max, and more is dropped; the others miss it for a while, then it "
        "reads messages that are long out of date"},
    [FAULT_RESET] = {"reset", "network", FAULT_TOLERATED, ANY,
        "a part of a frame is never taken for a frame; what was on its way is lost, and the sender connects again"},
    [FAULT_LASTING_CUT] = {"lasting-cut", "network", FAULT_TOLERATED, ANY,
        "while a proposer reaches quorums and they reach it, one such proposer leads, and continues to (P15)"},
    [FAULT_BLACK_HOLE] = {"black-hole", "network", FAULT_TOLERATED, ANY,
        "a leader whose proposals get lost has no results and resigns; one whose proposals arrive replaces it"},
    /* ---- disk ---- */
    [FAULT_LOST_WRITES] = {"lost-writes", "disk", FAULT_TOLERATED, ANY,
        "no promise, vote or answer left the node that depended on them (P2): it comes back as it was at its last sync"},
    [FAULT_TORN_WRITE] = {"torn-write", "disk", FAULT_TOLERATED, ANY,
        "recovery cuts the torn tail, on which nothing depended: zeroed, synced, logged and counted"},
    [FAULT_REORDERED_WRITES] = {"reordered-writes", "disk", FAULT_TOLERATED, ANY,
        "one group is in flight at a time, so only the last group can be incomplete: a torn tail"},
    [FAULT_MISDIRECTED_WRITE] = {"misdirected-write", "disk", FAULT_REFUSED, MINORITY,
        "recovery and reading back stop the node, naming file and offset: a group is valid only at its own place. A "
        "misdirected last group looks like a torn tail and is counted separately"},
    [FAULT_FLIPPED_BYTE] = {"flipped-byte", "disk", FAULT_REFUSED, MINORITY,
        "the node refuses to start (exit code 3), naming file and offset, and stops when it reads the byte back. In the "
        "last group, with no mark after it, it looks like a torn tail and is counted separately"},
    [FAULT_READ_ERROR] = {"read-error", "disk", FAULT_REFUSED, ANY,
        "the node does not start, or stops (exit code 3), naming the file; nothing is lost, and it may be restarted"},
    [FAULT_WRITE_ERROR] = {"write-error", "disk", FAULT_REFUSED, ANY,
        "the node does not start, or stops, naming the file (in the journal exit code 4, as after a failed sync): what "
        "was not durable has promised nothing, and it may be restarted"},
    [FAULT_FULL_DISK] = {"full-disk", "disk", FAULT_TOLERATED, ANY,
        "a node does not start; one that runs keeps what it must write until there is room (decision 0020), as with "
        "stalled-disk"},
    [FAULT_SLOW_DISK] = {"slow-disk", "disk", FAULT_TOLERATED, ANY,
        "larger groups, later answers: messages that wait for a record wait longer"},
    [FAULT_STALLED_DISK] = {"stalled-disk", "disk", FAULT_TOLERATED, ANY,
        "a leader whose disk has not synced for dead_timeout_ms resigns (P15); others do not vote meanwhile"},
    [FAULT_HUNG_DISK] = {"hung-disk", "disk", FAULT_TOLERATED, ANY,
        "as stalled-disk, for minutes or until the node is restarted: what was not synced promised nothing; when the "
        "disk works again, the node goes on where it was"},
    [FAULT_FAILED_SYNC] = {"failed-sync", "disk", FAULT_REFUSED, ANY,
        "final (P14): nothing becomes durable afterwards, and the node stops with exit code 4. When it is restarted, it "
        "writes its last group once more and syncs before anything that it read counts"},
    [FAULT_LOST_RENAME] = {"lost-rename", "disk", FAULT_TOLERATED, ANY,
        "the folder is synced after a rename and before anything depends on it, so the old name still has all that was "
        "durable"},
    [FAULT_LOST_DISK] = {"lost-disk", "disk", FAULT_REFUSED, MINORITY,
        "start refuses a folder that is not formatted (exit code 3): the node never votes again (P12), and what it held "
        "no longer counts"},
    [FAULT_OLD_DISK] = {"old-disk", "disk", FAULT_OUTSIDE, MINORITY,
        "a node cannot know what it has forgotten, but nodes that heard a later life of it do (durably, so restarts do "
        "not matter): they refuse it, and it ends; such a node counts as lost"},
    /* ---- clock ---- */
    [FAULT_DRIFT] = {"drift", "clock", FAULT_TOLERATED, ANY,
        "time-outs come early or late; no promise depends on a clock (no leases)"},
    [FAULT_JUMP] = {"jump", "clock", FAULT_TOLERATED, ANY,
        "time-outs end at once: a live leader is suspected, batches are called unknown; no promise is broken"},
    [FAULT_PAUSE] = {"pause", "clock", FAULT_TOLERATED, ANY,
        "the others replace a leader that pauses; when it goes on, higher ballots refuse what it sends"},
    /* ---- process ---- */
    [FAULT_CRASH] = {"crash", "process", FAULT_TOLERATED, ANY,
        "all that a node said depends on durable records; it comes back in a later life, and its clients are told that "
        "the outcome is unknown"},
    [FAULT_RESTART_STORM] = {"restart-storm", "process", FAULT_TOLERATED, ANY,
        "each start makes its incarnation durable before the node speaks: no two lives share a ballot or a batch number "
        "(P1 and P8)"},
    [FAULT_LONG_PAUSE] = {"long-pause", "process", FAULT_TOLERATED, ANY,
        "as pause; the turn that still has the old time may act as if it led, and higher ballots refuse it"},
    [FAULT_RECONFIGURED] = {"reconfigured", "process", FAULT_TOLERATED, ANY,
        "settings that may differ between nodes change nothing that is promised: the next life reads what this one wrote"},
    [FAULT_REGOVERNED] = {"regoverned", "process", FAULT_TOLERATED, ANY,
        "the start is refused (exit code 2), naming the key; with the old value it comes back as it was (decision 0026)"},
    /* ---- component ---- */
    [FAULT_TRAP] = {"trap", "component", FAULT_TOLERATED, ANY,
        "the node ends with exit code 1 and a log line; what the turn had not handed out yet never leaves it, nor any "
        "withheld message. When it is restarted, it is as after a crash"},
    [FAULT_ENDLESS_LOOP] = {"endless-loop", "component", FAULT_TOLERATED, ANY,
        "the turn is ended after turn_timeout_ms and the node with it, as by a trap"},
    [FAULT_MEMORY_LIMIT] = {"memory-limit", "component", FAULT_TOLERATED, ANY,
        "a component that wants more than memory_bytes_max traps; the host and other nodes go on"},
    [FAULT_GARBAGE] = {"garbage", "component", FAULT_TOLERATED, ANY,
        "meaningless bytes are refused where they are read: a body that is no message is dropped by its receivers and "
        "logged, a record longer or shorter than it says ends the node, replies that do not fit are answered as unknown"},
    [FAULT_SPARE] = {"spare", "component", FAULT_TOLERATED, ANY,
        "the spare boots as another life, after the writes in flight are done; messages that the old instance withheld "
        "are discarded, and its clients are told that the outcome is unknown"},
    [FAULT_OTHER_STATE] = {"other-state", "component", FAULT_REFUSED, MINORITY,
        "learners compare the hashes of their states: the node stops (exit code 6), naming the slot, and the others go on "
        "(P13)"},
    [FAULT_LASTING_HANG] = {"lasting-hang", "disk", FAULT_TOLERATED, "one node",
        "while no sync of it returns, the others serve: a leader resigns after dead_timeout_ms though its messages pass (P15), "
        "and does not lead before its disk works again"},
    [FAULT_MOVED_LEADER] = {"moved-leader", "operator", FAULT_TOLERATED, ANY,
        "the node leads soon, or the answer says why not; where nothing else happens, no client is told -UNKNOWN, and the pause "
        "is short (P15)"},
    [FAULT_DAMAGE] = {"damage", "network", FAULT_TOLERATED, ANY,
        "a datagram that is not exactly a frame with its checksums is refused and counted, as by drop"},
    [FAULT_MEMBER_ADD] = {"member-add", "operator", FAULT_TOLERATED, "one node at a time",
        "it learns first, and votes when it has caught up; no slot is chosen by quorums of two configurations (P11)"},
    [FAULT_MEMBER_REMOVE] = {"member-remove", "operator", FAULT_TOLERATED, "one node at a time",
        "it serves until the slots before the change are held without it, and ends; a leader hands over (P11)"},
    [FAULT_MEMBER_REPLACE] = {"member-replace", "operator", FAULT_TOLERATED, "one node at a time",
        "a node without its disk counts as crashed for good; as another instance it comes back, and answers nothing that the "
        "earlier one may have promised (P11, P12)"},
    [FAULT_SETTINGS] = {"settings", "operator", FAULT_TOLERATED, ANY,
        "quorums are those of the configuration that governs the slot (P11)"},
    [FAULT_WALL_CLOCK] = {"wall-clock", "clock", FAULT_TOLERATED, ANY,
        "no time that passes depends on it; the log's wall clock follows a leader's that is ahead, and never goes back (P22)"},
    [FAULT_REFUSED_DIALS] = {"refused-dials", "network", FAULT_TOLERATED, ANY,
        "as when a proxy before it starts again: others may take its process for ended (P28), and ask; while a quorum hears "
        "the leader, it stays (P15)"},
};
/* clang-format on */

enum fault fault_find(const char *name)
{
    for (uint32_t kind = 0; kind < FAULTS; kind++)
        if (strcmp(fault_kinds[kind].name, name) == 0)
            return (enum fault)kind;
    return FAULTS;
}

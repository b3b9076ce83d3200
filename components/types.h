/* Checks that `interface types` of wit/types.wit and core/base/types.h mean the same bytes. */
#ifndef SYNOD_COMPONENTS_TYPES_H
#define SYNOD_COMPONENTS_TYPES_H

#include "components/shim.h"
#include "core/base/types.h"

SAME_LAYOUT(struct ballot, synod_paxos_types_ballot_t, round, node, incarnation);
SAME_LAYOUT(struct payload, synod_paxos_types_payload_t, words, words.ptr, words.len, len);
SAME_LAYOUT(struct entry, synod_paxos_types_entry_t, slot, ballot, kind, value);
SAME_LIST(struct entry_list, synod_paxos_types_list_entry_t);
SAME_LAYOUT(struct batch_id, synod_paxos_types_batch_id_t, origin, incarnation, number);
SAME_LAYOUT(struct message, synod_paxos_types_message_t, kind, flags, ballot, from, to, floor, chosen, batch, entries);
SAME_LAYOUT(struct log_record, synod_paxos_types_log_record_t, lsn, kind, to, entry);
SAME_LIST(struct record_list, synod_paxos_types_list_log_record_t);
SAME_LAYOUT(struct snapshot_item, synod_paxos_types_snapshot_item_t, kind, id, value);
SAME_LAYOUT(struct configuration, synod_paxos_types_configuration_t, slot, governs, replaces, proposers, acceptors, learners,
            joining, fresh, phase1_quorum, phase2_quorum, alpha, state_bytes_max, acceptors_send_learns);
SAME_LAYOUT(struct configured, synod_paxos_types_configured_t, configuration, settled, text);
SAME_LAYOUT(struct delivery, synod_paxos_types_delivery_t, sender, message);
SAME_LAYOUT(struct client_batch, synod_paxos_types_client_batch_t, token, value);
SAME_LAYOUT(struct appended, synod_paxos_types_appended_t, lsn, slot, ballot);
SAME_LAYOUT(struct event, synod_paxos_types_event_t, tag, val.message, val.commands, val.durable, val.records, val.appended,
            val.request, val.snapshot, val.configuration, val.reads, val.wall_clock, val.watch);
SAME_LAYOUT(struct outgoing, synod_paxos_types_outgoing_t, to, after, message);
SAME_LAYOUT(struct read_range, synod_paxos_types_read_range_t, from, to, bytes_max);
SAME_LAYOUT(struct truncation, synod_paxos_types_truncation_t, lsn, after);
SAME_LAYOUT(struct client_reply, synod_paxos_types_client_reply_t, token, outcome, leader, slot, replies);
SAME_LAYOUT(struct leadership, synod_paxos_types_leadership_t, leader, ballot);
SAME_LAYOUT(struct effect, synod_paxos_types_effect_t, tag, val.send, val.append, val.read, val.reply, val.leader,
            val.diverged, val.damaged, val.snapshot, val.truncate, val.unloadable, val.configuration, val.wall_clock,
            val.notices);
SAME_LIST(struct effect_list, synod_paxos_types_list_effect_t);
SAME_LAYOUT(struct credit, synod_paxos_types_credit_t, commands, reads);
SAME_LAYOUT(struct step_result, synod_paxos_types_step_result_t, effects, wake_at, credit);
SAME_LAYOUT(struct limits, synod_paxos_types_limits_t, chunk_bytes, accept_bytes, forwarded, release_bytes, step_work, apply,
            apply_bytes, call_work, results_bytes, read_bytes, requests, part_bytes, queries, withheld, withheld_bytes,
            unsynced, replies_bytes, session_idle_ms);
SAME_LAYOUT(struct moment, synod_paxos_types_moment_t, elapsed, unix);
SAME_LAYOUT(struct seed, synod_paxos_types_seed_t, low, high);
SAME_LAYOUT(struct node_config, synod_paxos_types_node_config_t, node, incarnation, admitted, joined, proposers, acceptors,
            learners, phase1_quorum, phase2_quorum, alpha, batches_in_flight, bytes_in_flight_max, chunk_bytes_max,
            learn_gap_max, acceptors_send_learns, learners_send_executed, forward, event_driven, log_decisions, durability,
            leader_rule, heartbeat_interval, suspect_timeout, dead_timeout);
SAME_LAYOUT(struct node_config, synod_paxos_types_node_config_t, prepare_timeout, retry_interval, exec_interval,
            request_timeout, state_bytes_max, state_bytes_room, snapshot_bytes, snapshot_slots, snapshots_max,
            journal_keep_slots, transfer_rate, seed, limits);
SAME_LAYOUT(struct node_status, synod_paxos_types_node_status_t, node, incarnation, leader, proposer_state, ballot, promised,
            chosen, executed, held, state_hash, commands_executed, leader_changes, batches_waiting, keys, state_bytes,
            state_bytes_max, moment, timed_keys, time_left, state_age_ms, slots_behind, sessions, session_bytes, wall_clock);

/* The numbers of cases, by their last one where the order is plain to see in both files. */
_Static_assert(ENTRY_KINDS == SYNOD_PAXOS_TYPES_ENTRY_KIND_UPGRADE + 1, "entry kinds");
_Static_assert(MESSAGE_KINDS == SYNOD_PAXOS_TYPES_MESSAGE_KIND_READ_INDEX + 1, "message kinds");
_Static_assert(MESSAGE_CHOSEN == SYNOD_PAXOS_TYPES_MESSAGE_KIND_CHOSEN, "message kinds");
_Static_assert(RECORD_KINDS == SYNOD_PAXOS_TYPES_RECORD_KIND_FLOOR + 1, "record kinds");
_Static_assert(SNAPSHOT_ITEM_KINDS == SYNOD_PAXOS_TYPES_SNAPSHOT_ITEM_KIND_LOADED + 1, "snapshot item kinds");
_Static_assert(SNAPSHOT_STORED == SYNOD_PAXOS_TYPES_SNAPSHOT_ITEM_KIND_STORED, "snapshot item kinds");
_Static_assert(OUTCOME_UNKNOWN == SYNOD_PAXOS_TYPES_OUTCOME_UNKNOWN, "outcomes");
_Static_assert(DURABILITY_MEMORY == SYNOD_PAXOS_TYPES_DURABILITY_MEMORY, "durabilities");
_Static_assert(EVENT_MESSAGE == SYNOD_PAXOS_TYPES_EVENT_MESSAGE, "event tags");
_Static_assert(EVENT_COMMANDS == SYNOD_PAXOS_TYPES_EVENT_COMMANDS, "event tags");
_Static_assert(EVENT_DURABLE == SYNOD_PAXOS_TYPES_EVENT_DURABLE, "event tags");
_Static_assert(EVENT_RECORDS == SYNOD_PAXOS_TYPES_EVENT_RECORDS, "event tags");
_Static_assert(EVENT_RECOVERED == SYNOD_PAXOS_TYPES_EVENT_RECOVERED, "event tags");
_Static_assert(EVENT_APPENDED == SYNOD_PAXOS_TYPES_EVENT_APPENDED, "event tags");
_Static_assert(EVENT_STOP == SYNOD_PAXOS_TYPES_EVENT_STOP, "event tags");
_Static_assert(EVENT_REQUEST == SYNOD_PAXOS_TYPES_EVENT_REQUEST, "event tags");
_Static_assert(EVENT_SNAPSHOT == SYNOD_PAXOS_TYPES_EVENT_SNAPSHOT, "event tags");
_Static_assert(EVENT_CONFIGURATION == SYNOD_PAXOS_TYPES_EVENT_CONFIGURATION, "event tags");
_Static_assert(EVENT_READS == SYNOD_PAXOS_TYPES_EVENT_READS, "event tags");
_Static_assert(EVENT_WALL_CLOCK == SYNOD_PAXOS_TYPES_EVENT_WALL_CLOCK, "event tags");
_Static_assert(EVENT_WATCH == SYNOD_PAXOS_TYPES_EVENT_WATCH, "event tags");
_Static_assert(EFFECT_SEND == SYNOD_PAXOS_TYPES_EFFECT_SEND, "effect tags");
_Static_assert(EFFECT_APPEND == SYNOD_PAXOS_TYPES_EFFECT_APPEND, "effect tags");
_Static_assert(EFFECT_READ == SYNOD_PAXOS_TYPES_EFFECT_READ, "effect tags");
_Static_assert(EFFECT_REPLY == SYNOD_PAXOS_TYPES_EFFECT_REPLY, "effect tags");
_Static_assert(EFFECT_LEADER == SYNOD_PAXOS_TYPES_EFFECT_LEADER, "effect tags");
_Static_assert(EFFECT_DIVERGED == SYNOD_PAXOS_TYPES_EFFECT_DIVERGED, "effect tags");
_Static_assert(EFFECT_DAMAGED == SYNOD_PAXOS_TYPES_EFFECT_DAMAGED, "effect tags");
_Static_assert(EFFECT_SNAPSHOT == SYNOD_PAXOS_TYPES_EFFECT_SNAPSHOT, "effect tags");
_Static_assert(EFFECT_TRUNCATE == SYNOD_PAXOS_TYPES_EFFECT_TRUNCATE, "effect tags");
_Static_assert(EFFECT_UNLOADABLE == SYNOD_PAXOS_TYPES_EFFECT_UNLOADABLE, "effect tags");
_Static_assert(EFFECT_CONFIGURATION == SYNOD_PAXOS_TYPES_EFFECT_CONFIGURATION, "effect tags");

#endif

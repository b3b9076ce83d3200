#include "components/wasi/part.h"

#include "components/packet.h"

void part_open(struct part *p)
{
    static struct arena results;
    struct problem problem;
    synod_paxos_settings_list_packet_t list;
    uv_loop_init(&p->loop);
    shim_results_begin(&results);
    synod_paxos_settings_get(&list);
    shim_results_end();
    bool understood = list.len >= 1 && config_packet_decode((const struct packet *)list.ptr, &p->settings);
    arena_close(&results);
    p->logger = logger_new(p->settings.node, understood ? p->settings.config.log_level : LOG_ERROR);
    if (understood && config_find(&p->settings.config, p->settings.node) != NULL)
        return;
    problem_set(&problem, EXIT_BAD_INPUT, "what the host gave as settings is none, or of another version");
    part_fail(p, &problem);
}

void part_roster(const struct part *p, struct roster *roster, struct roster *hearsay)
{
    static struct arena results;
    struct packet_list list;
    shim_results_begin(&results);
    synod_paxos_settings_get((synod_paxos_settings_list_packet_t *)&list);
    shim_results_end();
    roster_of_log(roster, &p->settings.config, list.ptr + 1, list.len > 0 ? list.len - 1 : 0);
    roster_of_hearsay(hearsay, list.ptr + 1, list.len > 0 ? list.len - 1 : 0);
    arena_close(&results);
}

_Noreturn void part_fail(const struct part *p, const struct problem *problem)
{
    logger_log(p->logger, LOG_ERROR, "node", "%s", problem->text);
    synod_paxos_host_control_fail((uint64_t)problem->exit_code);
    __builtin_trap();
}

void part_run(struct part *p)
{
    uv_run(&p->loop, UV_RUN_NOWAIT);
    p->ran = true;
}

void part_run_once(struct part *p)
{
    if (!p->ran)
        part_run(p);
}

struct waits part_waits(struct part *p, bool input)
{
    p->ran = false;
    return input ? (struct waits){.timeout = 0} : loop_waits(&p->loop);
}

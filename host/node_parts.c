/* What is opened for a node, in this order: storage, a life, the network, the client port. What is in the sandbox is opened
 * there, by the life itself:
 *
 *   network  storage
 *   host     host      the data folder is opened here; the life is told its incarnation
 *   host     sandbox   the data folder is locked here and opened by the life, which says who it is; the network follows
 *   sandbox  host      as the first, and the life asks here who it is and whom it may listen to
 *   sandbox  sandbox   the data folder is locked here, and that is all */
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/grpc_network.h"
#include "host/limits.h"
#include "host/node_host_internal.h"

/* ---- storage ---- */

static void on_input(void *context) { host_make_due(context); }

static void on_journal_failure(void *context, const struct problem *problem) { host_fail(context, problem); }

static void on_journal_notice(void *context, const char *text)
{
    logger_log(((struct node_host *)context)->ports.logger, LOG_WARNING, "journal", "%s", text);
}

static void on_snapshot_notice(void *context, const char *text)
{
    logger_log(((struct node_host *)context)->ports.logger, LOG_WARNING, "snapshots", "%s", text);
}

static void warn_about_durability(struct node_host *h)
{
    static const char *const texts[] = {
        [DURABILITY_OS] =
            "durability: os -- nothing is synced; a machine that goes down may lose votes and BREAK the cluster's promises",
        [DURABILITY_MEMORY] =
            "durability: memory -- nothing is written; a node that restarts has lost its votes and must not come back",
    };
    uint8_t durability = h->options.config->node_config.durability;
    if (durability == DURABILITY_OS || durability == DURABILITY_MEMORY)
        logger_log(h->ports.logger, LOG_WARNING, "node", "%s", texts[durability]);
}

/* Of how the data folder was opened. */
static void tell_notice(struct node_host *h, const char *notice)
{
    if (notice != NULL)
        logger_log(h->ports.logger, LOG_WARNING, "node", "%s: %s", h->path, notice);
}

/* A user who may write there can take the node's votes back. */
static void warn_about_access(struct node_host *h)
{
    struct stat status;
    if (stat(h->path, &status) != 0)
        return;
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        logger_log(h->ports.logger, LOG_WARNING, "node", "%s: others than its owner may write to this folder (mode %04o)",
                   h->path, (unsigned)status.st_mode & 07777);
    if (status.st_uid != geteuid())
        logger_log(h->ports.logger, LOG_WARNING, "node", "%s: this folder belongs to another user (%u)", h->path,
                   (unsigned)status.st_uid);
}

static void warn_about_crashes(struct node_host *h)
{
    const struct config *config = h->options.config;
    for (size_t i = 0; i < config->crash_count; i++)
        if (config->crashes[i].node == h->self->id && !is_network_in_host(h) && !is_storage_in_host(h)) {
            logger_log(h->ports.logger, LOG_WARNING, "node",
                       "crashes: nobody outside of the sandbox sees this node's slots; it will not crash");
            return;
        }
}

static bool open_snapshots(struct node_host *h, struct problem *problem)
{
    const struct config *config = h->options.config;
    const struct snapshots_options options = {
        .front.disk = disk_posix(),
        .front.data_folder = h->path,
        .front.cluster = identity_origin(data_folder_identity(h->folder)).cluster,
        .front.keep = config->node_config.snapshots_max,
        .front.use = snapshot_use(config, h->self->id),
        .on_told = on_input,
        .on_notice = on_snapshot_notice,
        .context = h,
    };
    return snapshots_open(&h->ports.snapshots, &h->loop, &options, problem);
}

static bool open_storage(struct node_host *h, struct problem *problem)
{
    const struct config *config = h->options.config;
    warn_about_durability(h);
    warn_about_crashes(h);
    if (snprintf(h->path, sizeof h->path, "%s/node-%u", config->data, h->self->id) >= (int)sizeof h->path)
        return problem_set(problem, EXIT_DATA, "data: the path is too long");
    warn_about_access(h);
    const char *notice;
    char governed[GOVERNED_TEXT_MAX];
    governed_print(config, governed);
    if (!is_storage_in_host(h)) {
        h->folder_lock = data_folder_lock(disk_posix(), h->path, h->self->id, governed, &notice, problem);
        tell_notice(h, notice);
        return h->folder_lock >= 0 && members_open(h, problem);
    }
    if (!data_folder_open_guarded(&h->folder, disk_posix(), h->path, config->cluster, h->self->id, DATA_FOLDER_LOCK,
                                  governed, problem))
        return false;
    tell_notice(h, data_folder_notice(h->folder));
    const struct journal_options options = {
        .disk = disk_posix(),
        .folder = h->path,
        .identity = *data_folder_identity(h->folder),
        .memory = {data_folder_newest_segment, h->folder},
        .durability = config->node_config.durability,
        .segment_bytes = config->segment_bytes,
        .on_durable = on_input,
        .on_failure = on_journal_failure,
        .on_notice = on_journal_notice,
        .context = h,
    };
    return members_open(h, problem) && journal_open(&h->ports.journal, &h->loop, &options, problem) &&
           open_snapshots(h, problem);
}

/* ---- network and clients ---- */

/* Commands that the node would not take yet can wait until it asks for them. */
static void on_commands(void *context)
{
    struct node_host *h = context;
    if (client_server_waiting(h->ports.clients, h->ports.credit))
        host_make_due(h);
}

static struct node_status status_of(void *context) { return driver_status(context); }

static void on_expelled(void *context, int exit_code, const char *reason)
{
    struct problem problem;
    struct node_host *h = context;
    problem_set(&problem, exit_code, "node %u: %s", h->self->id, reason);
    host_fail(h, &problem);
}

static bool open_network(struct node_host *h, struct problem *problem)
{
    static network_opener *const openers[] = {
        [NETWORK_HOST_TCP] = tcp_network_open, [NETWORK_HOST_UDP] = udp_network_open, [NETWORK_GRPC] = grpc_network_open};
    const struct network_options network = {
        .config = h->options.config,
        .origin = h->origin,
        .sends = true,
        .receives = true,
        .accept_peer = driver_accept_peer,
        .on_expelled = on_expelled,
        .on_early = members_early,
        .logger = h->ports.logger,
        .on_input = on_input,
        .context = h,
    };
    return openers[h->self->network](&h->ports.network, &h->loop, &network, problem);
}

static const char *order_fault(void *context, const char *part, const char *kind)
{
    struct node_host *h = context;
    const char *wrong = faults_order(&h->faults, part, kind);
    if (wrong == NULL)
        logger_log(h->ports.logger, LOG_WARNING, "node", "a client has ordered a fault: %s, %s", part, kind);
    return wrong;
}

static bool open_sockets(struct node_host *h, struct problem *problem)
{
    if (!is_network_in_host(h))
        return true;
    if (!open_network(h, problem))
        return false;
    if (h->self->client.host[0] == '\0')
        return true;
    struct client_server_options clients = {
        .config = h->options.config,
        .node = h->self->id,
        .logger = h->ports.logger,
        .on_input = on_commands,
        .fault = h->options.config->debug_commands ? order_fault : NULL,
        .status = status_of,
        .info = info_of,
        .context = h,
    };
    if (getrandom(&clients.seed, sizeof clients.seed, 0) != sizeof clients.seed)
        return problem_set(problem, EXIT_TROUBLE, "no random bytes for the client port of node %u", h->self->id);
    return client_server_open(&h->ports.clients, &h->loop, &clients, problem);
}

/* ---- lives ---- */

static const char *const place_names[] = {"host", "guest"};

static bool find_composition(const struct node_host *h, struct problem *problem)
{
    uint8_t rule = h->options.config->node_config.leader_rule;
    if (access(h->file, R_OK) == 0)
        return true;
    return problem_set(
        problem, EXIT_BAD_INPUT,
        "there is no %s; compose it: compositions/compose.sh %s-node %s %s %s %s synod %s (or set SYNOD_NODES)", h->file,
        role_name(h->self->role), network_name(h->self->network), place_names[h->self->storage],
        place_names[h->self->serializer], rule == LEADER_HIGHEST ? "highest" : "sticky",
        granularity_names[h->self->granularity]);
}

bool parts_make_life(struct node_host *h, struct node_life **out, struct problem *problem)
{
    const struct config *config = h->options.config;
    if (h->options.engine == NULL)
        return node_native_new(out, &h->ports.ports, problem);
    const struct node_wasm_options options = {
        .engine = h->options.engine,
        .file = h->file,
        .memory_bytes_max = config_component_bytes_max(h->self, config->memory_bytes_max),
        .turn_timeout = config->turn_timeout,
        .config = config,
        .node = h->self->id,
        .folder = is_storage_in_host(h) ? NULL : h->path,
        .surroundings = &h->surroundings,
    };
    if (!node_wasm_new(out, &options, &h->ports.ports, problem))
        return false;
    if (limits_have_room(problem))
        return true;
    (*out)->operations->free(*out);
    *out = NULL;
    return false;
}

/* Who the node is now, and its first words. */
static bool begin_life(struct node_host *h, struct problem *problem)
{
    if (!h->driver->fits(h))
        return problem_set(problem, EXIT_BAD_INPUT, "%s is composed of other parts than its name says", h->file);
    if (is_storage_in_host(h))
        h->origin = identity_origin(data_folder_identity(h->folder));
    return h->driver->begin(h, problem);
}

/* The native life is all one: whatever is not in the host is linked in, and has no sandbox to be in. */
static bool check_native(const struct node_host *h, struct problem *problem)
{
    if (h->options.engine != NULL || (is_network_in_host(h) && is_storage_in_host(h)))
        return true;
    return problem_set(problem, EXIT_BAD_INPUT, "node %u: with --native, network and storage are the host's", h->self->id);
}

static bool hear_of_members(struct node_host *h)
{
    members_connect(h);
    return true;
}

bool parts_open(struct node_host *h, struct problem *problem)
{
    return check_native(h, problem) && (h->options.engine == NULL || find_composition(h, problem)) &&
           open_storage(h, problem) && parts_make_life(h, &h->supervisor.life, problem) && begin_life(h, problem) &&
           open_sockets(h, problem) && hear_of_members(h);
}

bool parts_reborn(struct node_host *h, struct problem *problem)
{
    if (is_storage_in_host(h)) {
        if (!data_folder_reboot(h->folder, problem))
            return false;
        journal_reborn(h->ports.journal, data_folder_identity(h->folder)->incarnation);
        snapshots_reborn(h->ports.snapshots);
    }
    if (!begin_life(h, problem))
        return false;
    if (h->ports.network != NULL)
        network_reborn(h->ports.network, &h->origin);
    return true;
}

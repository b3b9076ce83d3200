/* What Synod's own host gives a node in the sandbox (settings, a log, a way to stop), out of WASI alone, so that any WASI
 * host can run the node. Everything is in the first folder that the host opens for it:
 *
 *   node.settings   what `synod config export` wrote; another name is the first command-line argument, otherwise the
 *                   environment's SYNOD_SETTINGS
 *   stop            in the same folder as the settings: as soon as there is a file of that name (looked for twice a second
 *                   at most), the node ends in good order, with its data folder given back. The file stays; it is to be
 *                   removed before the node is started again
 *
 * What the log says of members is kept in the data folder, as Synod's own host does (io/own_members.h). But this host does
 * not hear who greets, so it never gives the first configuration: other nodes have to.
 *
 * Log lines go to standard error. A part that cannot go on ends the program: WASI 0.2 knows success and failure alone, so
 * the exit code that Synod's own host would end with is in the log. */
#include <stdio.h>
#include <time.h>

#include "components/packet.h"
#include "components/wasi/disk_wasi.h"
#include "core/base/memory.h"
#include "core/runners/ports.h"
#include "io/config_packet.h"
#include "io/own_members.h"

SAME_LIST(struct packet_list, exports_synod_paxos_settings_list_packet_t);

enum {
    PATH_SIZE = 1024,
    SETTINGS_MAX = 1 << 20,
    LINE_MAX = 4096, /* a blocking write takes no more */
    LOOK_NS = 500000000,
};

/* Lists that the host returns go here; what is kept of them is copied. */
static struct arena results;

/* ---- Log ---- */

static void write_line(const char *line, size_t len)
{
    static bool opened;
    static wasi_cli_stderr_own_output_stream_t stream;
    wasi_io_streams_stream_error_t error;
    wasi_host_world_list_u8_t bytes = {(uint8_t *)line, len};
    if (!opened)
        stream = wasi_cli_stderr_get_stderr();
    opened = true;
    /* If this fails, there is no other place to say so. */
    if (!wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(stream), &bytes,
                                                                       &error) &&
        error.tag == WASI_IO_STREAMS_STREAM_ERROR_LAST_OPERATION_FAILED)
        wasi_io_error_error_drop_own(error.val.last_operation_failed);
}

/* "2025-01-31T12:34:56.789Z info    network: ..." */
static void log_line(uint32_t level, const char *text, size_t len)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    char line[LINE_MAX], time[64];
    wasi_clocks_wall_clock_datetime_t now;
    struct tm tm;
    wasi_clocks_wall_clock_now(&now);
    const time_t seconds = (time_t)now.seconds;
    gmtime_r(&seconds, &tm);
    snprintf(time, sizeof time, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(now.nanoseconds / 1000000));
    int head = snprintf(line, sizeof line, "%s %-7s ", time, names[level <= LOG_DEBUG ? level : LOG_DEBUG]);
    size_t room = sizeof line - (size_t)head - 1;
    len = len < room ? len : room;
    for (size_t i = 0; i < len; i++) /* a message must not forge lines or control a terminal */
        line[(size_t)head + i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i];
    line[(size_t)head + len] = '\n';
    write_line(line, (size_t)head + len + 1);
}

void exports_synod_paxos_logger_log(uint32_t level, world_string_t *text)
{
    log_line(level, (const char *)text->ptr, text->len);
    shim_call_done();
}

static _Noreturn void end(void)
{
    wasi_cli_exit_result_void_void_t failure = {.is_err = true};
    wasi_cli_exit_exit(&failure);
    __builtin_trap();
}

void exports_synod_paxos_host_control_fail(uint64_t code)
{
    char text[64];
    int len = snprintf(text, sizeof text, "host: ending for good, exit code %u", (unsigned)code);
    log_line(LOG_ERROR, text, (size_t)len);
    end();
}

/* ---- Settings ---- */

static _Noreturn void end_because(const char *name, const char *why)
{
    char text[PATH_SIZE + 128];
    int len = snprintf(text, sizeof text, "host: %s: %s", name, why);
    log_line(LOG_ERROR, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
    end();
}

static bool text_is(const world_string_t *text, const char *other)
{
    return text->len == strlen(other) && memcmp(text->ptr, other, text->len) == 0;
}

/* The settings' path: the first argument after the program's name, SYNOD_SETTINGS, or the default. */
static const char *settings_path(void)
{
    static char path[PATH_SIZE];
    wasi_host_world_list_string_t arguments;
    wasi_host_world_list_tuple2_string_string_t environment;
    const world_string_t *given = NULL;
    if (path[0] != '\0')
        return path;
    shim_results_begin(&results);
    wasi_cli_environment_get_arguments(&arguments);
    if (arguments.len > 1) {
        given = &arguments.ptr[1];
    } else {
        wasi_cli_environment_get_environment(&environment);
        for (size_t i = 0; i < environment.len; i++)
            if (text_is(&environment.ptr[i].f0, "SYNOD_SETTINGS"))
                given = &environment.ptr[i].f1;
    }
    shim_results_end();
    if (given == NULL || given->len == 0)
        strcpy(path, "node.settings");
    else if (given->len < sizeof path)
        memcpy(path, given->ptr, given->len);
    else
        end_because("the path of the settings", "too long");
    return path;
}

/* The first folder that the host opened. */
static wasi_filesystem_types_borrow_descriptor_t root(void)
{
    static bool found;
    static wasi_filesystem_preopens_own_descriptor_t folder;
    if (!found) {
        wasi_filesystem_preopens_list_tuple2_own_descriptor_string_t folders;
        shim_results_begin(&results);
        wasi_filesystem_preopens_get_directories(&folders);
        shim_results_end();
        if (folders.len == 0)
            end_because(settings_path(), "the host has opened no folder for this node");
        for (size_t i = 1; i < folders.len; i++)
            wasi_filesystem_types_descriptor_drop_own(folders.ptr[i].f0);
        folder = folders.ptr[0].f0;
        found = true;
    }
    return wasi_filesystem_types_borrow_descriptor(folder);
}

/* Reads the whole file into `words`, which have room for SETTINGS_MAX bytes. Returns its length; 0: it cannot be read. */
static size_t read_file(const char *path, uint64_t *words)
{
    wasi_filesystem_types_own_descriptor_t file;
    wasi_filesystem_types_error_code_t code;
    world_string_t name = {(uint8_t *)path, strlen(path)};
    size_t len = 0;
    if (!wasi_filesystem_types_method_descriptor_open_at(root(), WASI_FILESYSTEM_TYPES_PATH_FLAGS_SYMLINK_FOLLOW, &name, 0,
                                                         WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_READ, &file, &code))
        return 0;
    while (len < SETTINGS_MAX) {
        wasi_host_world_tuple2_list_u8_bool_t piece;
        shim_results_begin(&results);
        bool ok = wasi_filesystem_types_method_descriptor_read(wasi_filesystem_types_borrow_descriptor(file),
                                                               SETTINGS_MAX - len, len, &piece, &code);
        shim_results_end();
        if (!ok || piece.f0.len == 0)
            break;
        memcpy((uint8_t *)words + len, piece.f0.ptr, piece.f0.len);
        len += piece.f0.len;
    }
    wasi_filesystem_types_descriptor_drop_own(file);
    return len;
}

static void read_settings(struct node_settings *settings)
{
    struct packet packet = {.words.ptr = memory_new(SETTINGS_MAX, 1)};
    packet.len = (uint32_t)read_file(settings_path(), packet.words.ptr);
    packet.words.len = words_for(packet.len);
    if (packet.len == 0)
        end_because(settings_path(), "there are no settings to read; synod config export writes them");
    if (!config_packet_decode(&packet, settings) || config_find(&settings->config, settings->node) == NULL)
        end_because(settings_path(), "no settings, or damaged ones, or of another version; synod config export writes them");
    free(packet.words.ptr);
}

/* ---- Members ---- */

static struct {
    bool opened, given; /* configurations, to the node */
    struct node_settings settings;
    struct own_members members;
    struct packet told[3]; /* settings, and configurations */
    struct packet listed[2];
} host;

static _Noreturn void end_for(const struct problem *problem)
{
    log_line(LOG_ERROR, problem->text, strlen(problem->text));
    exports_synod_paxos_host_control_fail((uint64_t)problem->exit_code);
    __builtin_trap();
}

/* Reads the settings, and what the data folder knows beside them. */
static void open_host(void)
{
    struct problem problem;
    if (host.opened)
        return;
    read_settings(&host.settings);
    const struct folder_files files = {disk_wasi(), host.settings.folder};
    if (!own_members_open(&host.members, &files, &host.settings.config, host.settings.node, &problem))
        end_for(&problem);
    host.settings.config.node_config = own_members_config(&host.members);
    host.told[0] = config_packet_encode(&host.settings);
    host.told[0].id = host.settings.node;
    host.opened = true;
}

void exports_synod_paxos_settings_get(exports_synod_paxos_settings_list_packet_t *ret)
{
    open_host();
    *(struct packet_list *)ret = (struct packet_list){host.told, 1 + own_members_list(&host.members, host.told + 1)};
}
SHIM_POST(settings_get, "settings@0.1.0#get");

void exports_synod_paxos_host_control_configuration_given(exports_synod_paxos_host_control_list_packet_t *ret)
{
    open_host();
    const size_t count = host.given ? 0 : own_members_list(&host.members, host.listed);
    host.given = true;
    *(struct packet_list *)ret = (struct packet_list){host.listed, count};
}
SHIM_POST(host_control_configuration_given, "host-control@0.1.0#configuration-given");

/* One that is leaving is not checked before it has left. */
void exports_synod_paxos_host_control_configuration_known(exports_synod_paxos_host_control_list_packet_t *configuration)
{
    const struct packet *said = (const struct packet *)configuration->ptr;
    struct problem problem;
    bool news;
    open_host();
    if (!own_members_take(&host.members, said, &news, &problem))
        end_for(&problem);
    const bool leaves = said->kind == CONFIGURATION_CHOSEN && !node_set_has(host.members.now.members, host.settings.node);
    if (news && !leaves && !own_members_check(&host.members, &problem))
        end_for(&problem);
    shim_call_done();
}

/* ---- Control ---- */

/* Whether the file `stop` is beside the settings. */
static bool look_for_stop(void)
{
    char path[PATH_SIZE + sizeof "stop"];
    wasi_filesystem_types_descriptor_stat_t stat;
    wasi_filesystem_types_error_code_t code;
    strcpy(path, settings_path());
    char *slash = strrchr(path, '/');
    strcpy(slash != NULL ? slash + 1 : path, "stop");
    world_string_t name = {(uint8_t *)path, strlen(path)};
    return wasi_filesystem_types_method_descriptor_stat_at(root(), 0, &name, &stat, &code);
}

uint64_t exports_synod_paxos_host_control_command(void)
{
    static uint64_t looked_at;
    static bool stop;
    const uint64_t now = wasi_clocks_monotonic_clock_now();
    if (!stop && (looked_at == 0 || now - looked_at >= LOOK_NS)) {
        stop = look_for_stop();
        looked_at = now;
    }
    return stop ? CONTROL_STOP : CONTROL_RUN;
}

uint64_t exports_synod_paxos_host_control_wall_clock(void)
{
    wasi_clocks_wall_clock_datetime_t now;
    wasi_clocks_wall_clock_now(&now);
    return now.seconds * 1000 + now.nanoseconds / 1000000;
}

/* ---- Loop: this kind of host has none of its own ---- */

exports_synod_paxos_host_loop_own_pollable_t exports_synod_paxos_host_loop_subscribe(void)
{
    enum { FAR_S = 3600 };
    return wasi_clocks_monotonic_clock_subscribe_duration(FAR_S * UINT64_C(1000000000));
}

uint64_t exports_synod_paxos_host_loop_run(void) { return UINT64_MAX; }

#include "local/load_report.h"

#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double terminal_interval = 0.2, plain_interval = 3;
static const struct percentile {
    const char *name;
    const char *json;
    double percent;
} percentiles[] = {
    {"Median", "median_ms", 50},
    {"P95", "p95_ms", 95},
    {"P99", "p99_ms", 99},
    {"P99.9", "p99_9_ms", 99.9},
};

volatile int interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

void catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART: waits end early */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void progress_begin(struct load_progress_line *line, uint64_t requests)
{
    *line = (struct load_progress_line){.requests = requests, .terminal = isatty(STDERR_FILENO) == 1};
}

/* Requests that ended with an answer that only those in sessions get. */
static uint64_t in_lost_sessions(const struct load_counts *c)
{
    return c->no_session + c->session_passed + c->session_reply;
}

void progress_update(struct load_progress_line *line, const struct load_counts *counts, double seconds)
{
    double since = seconds - line->shown_seconds;
    if (since < (line->terminal ? terminal_interval : plain_interval))
        return;
    uint64_t done = counts->answered + counts->errors + counts->unknown + in_lost_sessions(counts);
    double rate = (double)(counts->answered - line->shown_answered) / since;
    fprintf(stderr, "%s%3.0f %%  %" PRIu64 " of %" PRIu64 "  %.0f requests/s  errors %" PRIu64, line->terminal ? "\r" : "",
            line->requests > 0 ? 100.0 * (double)done / (double)line->requests : 0.0, done, line->requests, rate,
            counts->errors);
    if (counts->unknown + counts->retried > 0)
        fprintf(stderr, "  unknown %" PRIu64 "  retried %" PRIu64, counts->unknown, counts->retried);
    fputs(line->terminal ? "\033[K" : "\n", stderr);
    line->shown = true;
    line->shown_seconds = seconds;
    line->shown_answered = counts->answered;
}

void progress_end(struct load_progress_line *line)
{
    if (line->terminal && line->shown)
        fputs("\r\033[K", stderr);
    line->shown = false;
}

static double ms(uint64_t us) { return (double)us / 1000; }

void report_statistics(const struct load_result *r)
{
    const struct load_counts *c = &r->counts;
    printf("  Count       %12" PRIu64 "\n", r->latency.count);
    printf("  Min         %12.3f ms\n", ms(r->latency.min));
    printf("  Max         %12.3f ms\n", ms(r->latency.max));
    printf("  Mean        %12.3f ms\n", histogram_mean(&r->latency) / 1000);
    for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles; i++)
        printf("  %-11s %12.3f ms\n", percentiles[i].name, ms(histogram_percentile(&r->latency, percentiles[i].percent)));
    printf("  Throughput  %12.0f requests/s (%.3f s)\n", load_throughput(r), r->seconds);
    printf("  Errors %" PRIu64 ", unknown %" PRIu64 ", retried %" PRIu64 ", moved %" PRIu64 "\n", c->errors, c->unknown,
           c->retried, c->moved);
    if (in_lost_sessions(c) > 0)
        printf("  No session %" PRIu64 ", session passed %" PRIu64 ", session's reply lost %" PRIu64 "\n", c->no_session,
               c->session_passed, c->session_reply);
    if (r->first_error[0] != '\0')
        printf("  First error: %s\n", r->first_error);
    if (c->answered > 0)
        printf("  Load generator's own CPU: %.2f us a request\n", r->cpu_seconds * 1e6 / (double)c->answered);
}

static json_t *json_count(uint64_t count) { return json_integer((json_int_t)count); }

bool report_json(const struct load_options *o, const struct load_result *r, const uint64_t *counted)
{
    const struct load_counts *c = &r->counts;
    json_t *out = json_object();
    int rc = json_object_set_new(out, "requests", json_count(o->requests));
    rc |= json_object_set_new(out, "connections", json_count(o->connections));
    rc |= json_object_set_new(out, "processes", json_count(o->processes));
    rc |= json_object_set_new(out, "pipeline", json_count(o->pipeline));
    rc |= json_object_set_new(out, "count", json_count(r->latency.count));
    rc |= json_object_set_new(out, "min_ms", json_real(ms(r->latency.min)));
    rc |= json_object_set_new(out, "max_ms", json_real(ms(r->latency.max)));
    rc |= json_object_set_new(out, "mean_ms", json_real(histogram_mean(&r->latency) / 1000));
    for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles; i++)
        rc |= json_object_set_new(out, percentiles[i].json,
                                  json_real(ms(histogram_percentile(&r->latency, percentiles[i].percent))));
    rc |= json_object_set_new(out, "seconds", json_real(r->seconds));
    rc |= json_object_set_new(out, "throughput", json_real(load_throughput(r)));
    rc |= json_object_set_new(out, "answered", json_count(c->answered));
    rc |= json_object_set_new(out, "errors", json_count(c->errors));
    rc |= json_object_set_new(out, "unknown", json_count(c->unknown));
    rc |= json_object_set_new(out, "retried", json_count(c->retried));
    rc |= json_object_set_new(out, "moved", json_count(c->moved));
    rc |= json_object_set_new(out, "no_session", json_count(c->no_session));
    rc |= json_object_set_new(out, "session_passed", json_count(c->session_passed));
    rc |= json_object_set_new(out, "session_reply", json_count(c->session_reply));
    if (counted != NULL)
        rc |= json_object_set_new(out, "counted", json_count(*counted));
    rc |= json_object_set_new(out, "generator_cpu_seconds", json_real(r->cpu_seconds));
    rc |= json_object_set_new(out, "stopped", json_boolean(r->stopped));
    char *text = rc == 0 ? json_dumps(out, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    if (text != NULL)
        puts(text);
    free(text);
    json_decref(out);
    return text != NULL;
}

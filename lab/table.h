/* What an experiment measured: a row for each thing that was compared, a column for each figure. Printed as text or JSON,
 * and drawn as panels of a plot. */
#ifndef SYNOD_LAB_TABLE_H
#define SYNOD_LAB_TABLE_H

#include <stdint.h>

#include "host/options.h"
#include "lab/plot.h"

enum { LAB_COLUMNS_MAX = 16, LAB_ROWS_MAX = 16, LAB_PARAMETERS_MAX = 8 };

struct lab_column {
    const char *name;
    const char *unit; /* printed below the name */
    const char *json; /* key, with the unit in it */
    int decimals;
};

struct lab_table {
    const char *experiment;
    const char *row_title; /* what the rows are: "composition" */
    const struct lab_column *columns;
    size_t column_count;
    const char *rows[LAB_ROWS_MAX];
    double values[LAB_COLUMNS_MAX][LAB_ROWS_MAX]; /* NAN: not measured */
    struct problem problems[LAB_ROWS_MAX];        /* why a row could not be measured; exit code 0: it was */
    size_t row_count;
    /* The parameters of the measurement, for the JSON. */
    struct {
        const char *json;
        uint64_t value;
    } parameters[LAB_PARAMETERS_MAX];
    size_t parameter_count;
};

/* Empties a table and gives it columns. */
void lab_table_init(struct lab_table *t, const char *experiment, const char *row_title, const struct lab_column *columns,
                    size_t column_count);
/* Adds a row, without values; returns its number. Precondition: fewer than LAB_ROWS_MAX. */
size_t lab_table_row(struct lab_table *t, const char *name);
void lab_table_parameter(struct lab_table *t, const char *json, uint64_t value);

/* Bars for all rows, with `count` columns from `first` on as series. `series` is room for them, and must live as long as the
 * panel. */
struct plot_panel lab_table_bars(const struct lab_table *t, const char *title, size_t first, size_t count,
                                 struct plot_series *series);

/* How an experiment is to report. */
struct lab_output {
    bool json, quiet;
    const char *plot; /* file; NULL: none */
};
#define LAB_OUTPUT_OPTIONS(output)                                                                                          \
    {"json", 0, OPTION_FLAG, .target = &(output).json, .text = "print the table as JSON"},                                  \
        {"plot", 0, OPTION_TEXT, .value = "FILE.svg", .target = &(output).plot, .text = "draw the table"},                  \
        {"quiet", 'q', OPTION_FLAG, .target = &(output).quiet, .text = "no progress"}

/* Prints the table on standard output and draws the panels, if the output says so. Problems of rows go to standard error.
 * Returns the exit code: that of the first row with a problem, if there is one. */
int lab_report(const struct lab_table *t, const struct lab_output *output, const char *title,
               const struct plot_panel *panels, size_t panel_count);

#endif

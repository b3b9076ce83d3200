#include "lab/table.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN_GAP = 2, COLUMN_WIDTH_MIN = 8, CELL_MAX = 48 };

void lab_table_init(struct lab_table *t, const char *experiment, const char *row_title, const struct lab_column *columns,
                    size_t column_count)
{
    *t = (struct lab_table){
        .experiment = experiment, .row_title = row_title, .columns = columns, .column_count = column_count};
}

size_t lab_table_row(struct lab_table *t, const char *name)
{
    t->rows[t->row_count] = name;
    for (size_t c = 0; c < t->column_count; c++)
        t->values[c][t->row_count] = NAN;
    return t->row_count++;
}

void lab_table_parameter(struct lab_table *t, const char *json, uint64_t value)
{
    t->parameters[t->parameter_count].json = json;
    t->parameters[t->parameter_count++].value = value;
}

struct plot_panel lab_table_bars(const struct lab_table *t, const char *title, size_t first, size_t count,
                                 struct plot_series *series)
{
    for (size_t i = 0; i < count; i++)
        series[i] = (struct plot_series){t->columns[first + i].name, t->values[first + i]};
    return (struct plot_panel){
        .kind = PLOT_BARS,
        .title = title,
        .categories = t->rows,
        .category_count = t->row_count,
        .series = series,
        .series_count = count,
    };
}

/* ---- Text ---- */

static void print_cell(char out[CELL_MAX], const struct lab_column *column, double value)
{
    if (isnan(value))
        snprintf(out, CELL_MAX, "-");
    else
        snprintf(out, CELL_MAX, "%.*f", column->decimals, fabs(value) < pow(10, -column->decimals) / 2 ? 0 : value);
}

static int width_of(const struct lab_table *t, size_t column)
{
    const struct lab_column *c = &t->columns[column];
    size_t width = COLUMN_WIDTH_MIN;
    char cell[CELL_MAX];
    for (size_t r = 0; r < t->row_count; r++) {
        print_cell(cell, c, t->values[column][r]);
        width = strlen(cell) > width ? strlen(cell) : width;
    }
    width = strlen(c->name) > width ? strlen(c->name) : width;
    width = strlen(c->unit) > width ? strlen(c->unit) : width;
    return (int)width + COLUMN_GAP;
}

static void print_text(const struct lab_table *t)
{
    int first = (int)strlen(t->row_title), widths[LAB_COLUMNS_MAX];
    for (size_t r = 0; r < t->row_count; r++)
        first = (int)strlen(t->rows[r]) > first ? (int)strlen(t->rows[r]) : first;
    printf("%-*s", first, t->row_title);
    for (size_t c = 0; c < t->column_count; c++) {
        widths[c] = width_of(t, c);
        printf("%*s", widths[c], t->columns[c].name);
    }
    printf("\n%-*s", first, "");
    for (size_t c = 0; c < t->column_count; c++)
        printf("%*s", widths[c], t->columns[c].unit);
    putchar('\n');
    for (size_t r = 0; r < t->row_count; r++) {
        printf("%-*s", first, t->rows[r]);
        if (t->problems[r].exit_code != EXIT_OK)
            printf("%*scannot be measured: see standard error", COLUMN_GAP, "");
        for (size_t c = 0; c < t->column_count && t->problems[r].exit_code == EXIT_OK; c++) {
            char cell[CELL_MAX];
            print_cell(cell, &t->columns[c], t->values[c][r]);
            printf("%*s", widths[c], cell);
        }
        putchar('\n');
    }
}

/* ---- JSON ---- */

static json_t *json_row(const struct lab_table *t, size_t row)
{
    json_t *out = json_object();
    bool bad = t->problems[row].exit_code != EXIT_OK;
    json_object_set_new(out, "name", json_string(t->rows[row]));
    json_object_set_new(out, "problem", bad ? json_string(t->problems[row].text) : json_null());
    for (size_t c = 0; c < t->column_count; c++) {
        double value = t->values[c][row];
        json_object_set_new(out, t->columns[c].json, isnan(value) ? json_null() : json_real(value));
    }
    return out;
}

static bool print_json(const struct lab_table *t)
{
    json_t *out = json_object(), *parameters = json_object(), *rows = json_array();
    for (size_t i = 0; i < t->parameter_count; i++)
        json_object_set_new(parameters, t->parameters[i].json, json_integer((json_int_t)t->parameters[i].value));
    for (size_t r = 0; r < t->row_count; r++)
        json_array_append_new(rows, json_row(t, r));
    json_object_set_new(out, "experiment", json_string(t->experiment));
    json_object_set_new(out, "parameters", parameters);
    json_object_set_new(out, "rows", rows);
    char *text = json_dumps(out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    if (text != NULL)
        puts(text);
    free(text);
    json_decref(out);
    return text != NULL;
}

/* ---- The report ---- */

int lab_report(const struct lab_table *t, const struct lab_output *output, const char *title,
               const struct plot_panel *panels, size_t panel_count)
{
    struct problem problem;
    int code = EXIT_OK;
    if (!output->json)
        print_text(t);
    else if (!print_json(t))
        code = EXIT_TROUBLE;
    fflush(stdout);
    for (size_t r = 0; r < t->row_count; r++) {
        if (t->problems[r].exit_code == EXIT_OK)
            continue;
        fprintf(stderr, "synod-lab %s: %s: %s\n", t->experiment, t->rows[r], t->problems[r].text);
        code = code == EXIT_OK ? t->problems[r].exit_code : code;
    }
    if (output->plot != NULL && !plot_write(output->plot, title, panels, panel_count, &problem)) {
        fprintf(stderr, "synod-lab %s: %s\n", t->experiment, problem.text);
        code = code == EXIT_OK ? problem.exit_code : code;
    }
    return code;
}

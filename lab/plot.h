/* Charts as SVG: measurements of `synod-lab`, for a document or a browser. A picture is a title and panels, one below the
 * other, each with axes of its own. No library of Debian draws charts from C, and the little that is needed is small. */
#ifndef SYNOD_LAB_PLOT_H
#define SYNOD_LAB_PLOT_H

#include <stddef.h>

#include "io/problem.h"

enum plot_kind {
    PLOT_BARS,  /* a group of horizontal bars for each category; the value axis begins at 0 */
    PLOT_LINES, /* categories from left to right, a line for each series */
};

enum { PLOT_SERIES_MAX = 12 };

/* Values are finite and not negative; NAN stands for a missing one. */
struct plot_series {
    const char *name;
    const double *values; /* one for each category */
};

struct plot_panel {
    enum plot_kind kind;
    const char *title;          /* what is shown, with its unit */
    const char *category_title; /* what the categories are; lines only; NULL: no text */
    const char *const *categories;
    size_t category_count;
    const struct plot_series *series; /* 1 to PLOT_SERIES_MAX; with more than one there is a legend */
    size_t series_count;
    bool logarithmic; /* lines only; values must then be above 0 */
};

/* Writes the picture, in colours for light and dark surroundings. Every bar is a `rect` of class "bar", every point a
 * `circle` of class "point", each with its value as a tooltip. Texts are UTF-8. False: `problem` says why the file could not
 * be written. */
bool plot_write(const char *file, const char *title, const struct plot_panel *panels, size_t panel_count,
                struct problem *problem);

#endif

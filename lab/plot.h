/* Charts as SVG: what `synod-lab` measured, for a document or a browser. A picture is a title and panels, one below the
 * other, each with axes of its own. No library of Debian's draws charts from C, and the little that is wanted is small. */
#ifndef SYNOD_LAB_PLOT_H
#define SYNOD_LAB_PLOT_H

#include <stddef.h>

#include "io/problem.h"

enum plot_kind {
    PLOT_BARS,  /* a group of horizontal bars a category; the value axis begins at 0 */
    PLOT_LINES, /* categories from left to right, a line a series */
};

enum { PLOT_SERIES_MAX = 12 };

/* Values are finite and not negative; NAN stands for one that there is not. */
struct plot_series {
    const char *name;
    const double *values; /* one a category */
};

struct plot_panel {
    enum plot_kind kind;
    const char *title;          /* what is shown, with its unit */
    const char *category_title; /* what the categories are; lines only, NULL: nothing is said */
    const char *const *categories;
    size_t category_count;
    const struct plot_series *series; /* 1 to PLOT_SERIES_MAX; with more than one there is a legend */
    size_t series_count;
    bool logarithmic; /* lines only; values must be above 0 then */
};

/* Writes the picture, in colours for light and dark surroundings. Every bar is a `rect` of class "bar", every point a
 * `circle` of class "point", each with its value as a tooltip. Texts are UTF-8. False: `problem` says why the file could not
 * be written. */
bool plot_write(const char *file, const char *title, const struct plot_panel *panels, size_t panel_count,
                struct problem *problem);

#endif

/* How a picture is laid out. Widths of texts are estimated, generously, from their number of characters: nothing that stands
 * side by side can overlap then, whatever font the viewer has.
 *
 *   title                                        title
 *   panel title                                  panel title
 *   [] series [] series      (legend)               |        .--o   -o- series
 *   category a |######### 12                      10|..o----'       -x- series
 *              |#### 5                               |
 *   category b |############## 19                   0+---|----|--
 *              +----|----|----|--                       64   1 KiB
 *              0    5    10   15                       category title
 *        bars: categories downwards               lines: categories to the right */
#include "lab/plot.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const double picture_width = 900, margin = 20, title_height = 30, panel_title_height = 26, panel_gap = 22;
static const double legend_line = 20, swatch = 22; /* of a legend: a line, and a colour with the space after it */
static const double bar = 14, bar_gap = 2, group_gap = 12, value_width = 74; /* the last: of what is after a bar */
static const double axis_height = 26, lines_area = 300, tick_label_width = 78, axis_title_height = 20;
static const double character = 7.2; /* width, at a font size of 12 */
static const double ticks_wanted = 6;
enum { DECADES_MAX = 9 }; /* labelled on a logarithmic axis */

/* Readable on white and on near-black; neighbours differ for all common kinds of colour vision. */
static const char *const colours[PLOT_SERIES_MAX] = {"#0a7cc4", "#e08a00", "#00986b", "#c9609b", "#8a6fd1", "#d0502a",
                                                     "#4aa8d8", "#8f8a1e", "#7d8590", "#a8577e", "#3f9142", "#b0793f"};

static const char style[] =
    "text { font: 12px sans-serif; fill: #1f2328; }\n"
    ".title { font-size: 17px; font-weight: bold; }\n.panel { font-size: 13px; font-weight: bold; }\n"
    ".back { fill: #ffffff; }\n.grid { stroke: #d6dae0; }\n.axis { stroke: #59636e; }\n"
    ".line { fill: none; stroke-width: 2; }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "text { fill: #e6edf3; }\n.back { fill: #151a21; }\n.grid { stroke: #343b44; }\n.axis { stroke: #9198a1; }\n}\n";

/* ---- Texts and numbers ---- */

static double text_width(const char *text)
{
    size_t characters = 0;
    for (; *text != '\0'; text++)
        characters += ((unsigned char)*text & 0xc0) != 0x80; /* without bytes that continue a character */
    return (double)characters * character;
}

static void put_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        default:
            fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
        }
    }
}

/* One text element; `anchor` is start, middle or end. */
static void put_label(FILE *out, double x, double y, const char *anchor, const char *class, const char *text)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor, class);
    put_text(out, text);
    fputs("</text>\n", out);
}

/* The value with so many decimals, and commas between thousands. */
static void print_number(char *out, size_t size, double value, int decimals)
{
    char digits[64];
    int len = snprintf(digits, sizeof digits, "%.*f", decimals, value);
    size_t whole = strcspn(digits, "."), used = 0;
    for (size_t i = 0; i < (size_t)len && used + 2 < size; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
}

/* Three significant digits. */
static void print_value(char *out, size_t size, double value)
{
    int decimals = value <= 0 || value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 1 - (int)floor(log10(value)) + 1;
    print_number(out, size, value, decimals < 9 ? decimals : 9);
}

/* ---- Axes ---- */

/* From a value to a place: linear from 0, or logarithmic. */
struct axis {
    bool logarithmic;
    double low, high; /* values at the ends; on a logarithmic axis their logarithms, whole numbers */
    double step;
    int decimals; /* of the ticks' labels */
};

static void value_range(const struct plot_panel *p, double *low, double *high)
{
    *low = INFINITY;
    *high = 0;
    for (size_t s = 0; s < p->series_count; s++) {
        for (size_t i = 0; i < p->category_count; i++) {
            double value = p->series[s].values[i];
            if (isnan(value) || (p->logarithmic && value <= 0))
                continue;
            *low = fmin(*low, value);
            *high = fmax(*high, value);
        }
    }
    if (*high <= 0) /* nothing above 0: any axis is right */
        *low = *high = 1;
}

/* Ticks at multiples of 1, 2 or 5 times a power of ten, the last one at or above the highest value. */
static struct axis linear_axis(double high)
{
    double power = pow(10, floor(log10(high / ticks_wanted)));
    double rough = high / ticks_wanted / power;
    struct axis a = {.step = power * (rough <= 1 ? 1 : rough <= 2 ? 2 : rough <= 5 ? 5 : 10)};
    a.high = a.step * ceil(high / a.step - 1e-9);
    double exponent = floor(log10(a.step) + 1e-9);
    a.decimals = exponent < 0 ? (int)-exponent : 0;
    return a;
}

/* Ticks at powers of ten, or some of them. */
static struct axis logarithmic_axis(double low, double high)
{
    struct axis a = {.logarithmic = true, .low = floor(log10(low) + 1e-9), .high = ceil(log10(high) - 1e-9)};
    if (a.high <= a.low)
        a.high = a.low + 1;
    a.step = ceil((a.high - a.low) / (double)DECADES_MAX);
    a.high = a.low + a.step * ceil((a.high - a.low) / a.step);
    return a;
}

static struct axis axis_of(const struct plot_panel *p)
{
    double low, high;
    value_range(p, &low, &high);
    return p->kind == PLOT_LINES && p->logarithmic ? logarithmic_axis(low, high) : linear_axis(high);
}

/* 0 at the low end, 1 at the high end. */
static double axis_place(const struct axis *a, double value)
{
    return ((a->logarithmic ? log10(value) : value) - a->low) / (a->high - a->low);
}

static size_t axis_ticks(const struct axis *a) { return (size_t)lround((a->high - a->low) / a->step) + 1; }

/* Tick `i` as a value, and its label. */
static double axis_tick(const struct axis *a, size_t i, char *label, size_t size)
{
    double at = a->low + a->step * (double)i, value = a->logarithmic ? pow(10, at) : at;
    print_number(label, size, value, a->logarithmic ? (at < 0 ? (int)-at : 0) : a->decimals);
    return value;
}

/* ---- Legends ---- */

/* Places the series' names in lines below one another. Returns the height; draws only if there is an `out`. */
static double bars_legend(FILE *out, const struct plot_panel *p, double y)
{
    double x = margin, line = y;
    if (p->series_count < 2)
        return 0;
    for (size_t s = 0; s < p->series_count; s++) {
        double width = swatch + text_width(p->series[s].name) + 16;
        if (x > margin && x + width > picture_width - margin) {
            x = margin;
            line += legend_line;
        }
        if (out != NULL) {
            fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"14\" height=\"11\" fill=\"%s\"/>\n", x, line + 3, colours[s]);
            put_label(out, x + swatch, line + 13, "start", "label", p->series[s].name);
        }
        x += width;
    }
    return line - y + legend_line + 4;
}

static double lines_legend_width(const struct plot_panel *p)
{
    double widest = 0;
    for (size_t s = 0; s < p->series_count; s++)
        widest = fmax(widest, text_width(p->series[s].name));
    return p->series_count < 2 ? 16 : widest + swatch + 24;
}

static void lines_legend(FILE *out, const struct plot_panel *p, double x, double y)
{
    for (size_t s = 0; s < p->series_count && p->series_count > 1; s++, y += legend_line) {
        fprintf(out,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"2\"/>\n"
                "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n",
                x, y, x + 16, y, colours[s], x + 8, y, colours[s]);
        put_label(out, x + swatch, y + 4, "start", "label", p->series[s].name);
    }
}

/* ---- Bars ---- */

static double group_height(const struct plot_panel *p) { return (double)p->series_count * (bar + bar_gap) + group_gap; }

static double bars_height(const struct plot_panel *p)
{
    return bars_legend(NULL, p, 0) + (double)p->category_count * group_height(p) + axis_height;
}

static void put_bar(FILE *out, const struct plot_panel *p, size_t category, size_t series, double x, double y, double width)
{
    const struct plot_series *s = &p->series[series];
    char value[64] = "-";
    if (!isnan(s->values[category])) {
        print_value(value, sizeof value, s->values[category]);
        fprintf(out, "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" fill=\"%s\"><title>", x, y,
                width, bar, colours[series]);
        put_text(out, p->categories[category]);
        put_text(out, ", ");
        put_text(out, s->name);
        fprintf(out, ": %.6g</title></rect>\n", s->values[category]);
    }
    put_label(out, x + width + 5, y + bar - 3, "start", "value", value);
}

static void put_bars(FILE *out, const struct plot_panel *p, double y)
{
    struct axis axis = axis_of(p);
    char label[64];
    double left = 0;
    for (size_t i = 0; i < p->category_count; i++)
        left = fmax(left, text_width(p->categories[i]));
    left += margin + 8;
    double span = picture_width - margin - value_width - left;
    y += bars_legend(out, p, y);
    double bottom = y + (double)p->category_count * group_height(p);
    for (size_t i = 0; i < axis_ticks(&axis); i++) {
        double x = left + span * axis_place(&axis, axis_tick(&axis, i, label, sizeof label));
        fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", x, y, x, bottom + 4);
        put_label(out, x, bottom + 18, "middle", "tick", label);
    }
    for (size_t i = 0; i < p->category_count; i++) {
        double group = y + (double)i * group_height(p) + group_gap / 2;
        double middle = group + (double)p->series_count * (bar + bar_gap) / 2;
        put_label(out, left - 8, middle + 3, "end", "category", p->categories[i]);
        for (size_t s = 0; s < p->series_count; s++) {
            double value = p->series[s].values[i], width = isnan(value) ? 0 : span * axis_place(&axis, value);
            put_bar(out, p, i, s, left, group + (double)s * (bar + bar_gap), width);
        }
    }
    fprintf(out, "<line class=\"axis\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", left, y, left, bottom + 4);
}

/* ---- Lines ---- */

struct area {
    double left, top, width, height;
};

static double lines_height(const struct plot_panel *p)
{
    double legend = (double)p->series_count * legend_line;
    return 6 + fmax(lines_area, legend) + axis_height + (p->category_title != NULL ? axis_title_height : 0);
}

static double category_x(const struct plot_panel *p, const struct area *area, size_t i)
{
    return area->left + area->width * ((double)i + 0.5) / (double)p->category_count;
}

static void put_series(FILE *out, const struct plot_panel *p, size_t series, const struct area *area,
                       const struct axis *axis)
{
    const struct plot_series *s = &p->series[series];
    double last_x = NAN, last_y = NAN;
    for (size_t i = 0; i < p->category_count; i++) {
        bool there = !isnan(s->values[i]) && (!axis->logarithmic || s->values[i] > 0);
        double x = there ? category_x(p, area, i) : NAN;
        double y = there ? area->top + area->height * (1 - axis_place(axis, s->values[i])) : NAN;
        if (there && !isnan(last_x))
            fprintf(out, "<line class=\"line\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", last_x,
                    last_y, x, y, colours[series]);
        if (there) {
            fprintf(out, "<circle class=\"point\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"><title>", x, y,
                    colours[series]);
            put_text(out, s->name);
            put_text(out, ", ");
            put_text(out, p->categories[i]);
            fprintf(out, ": %.6g</title></circle>\n", s->values[i]);
        }
        last_x = x;
        last_y = y;
    }
}

static void put_lines(FILE *out, const struct plot_panel *p, double y)
{
    struct axis axis = axis_of(p);
    struct area area = {.left = margin + tick_label_width, .top = y + 6};
    char label[64];
    double legend = lines_legend_width(p);
    area.width = picture_width - margin - legend - area.left;
    area.height = fmax(lines_area, (double)p->series_count * legend_line);
    for (size_t i = 0; i < axis_ticks(&axis); i++) {
        double at = area.top + area.height * (1 - axis_place(&axis, axis_tick(&axis, i, label, sizeof label)));
        fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", area.left - 4, at,
                area.left + area.width, at);
        put_label(out, area.left - 8, at + 4, "end", "tick", label);
    }
    for (size_t i = 0; i < p->category_count; i++)
        put_label(out, category_x(p, &area, i), area.top + area.height + 18, "middle", "category", p->categories[i]);
    if (p->category_title != NULL)
        put_label(out, area.left + area.width / 2, area.top + area.height + 38, "middle", "label", p->category_title);
    fprintf(out, "<line class=\"axis\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", area.left, area.top, area.left,
            area.top + area.height);
    for (size_t s = 0; s < p->series_count; s++)
        put_series(out, p, s, &area, &axis);
    lines_legend(out, p, area.left + area.width + 16, area.top + 8);
}

/* ---- The picture ---- */

static double panel_height(const struct plot_panel *p)
{
    return panel_title_height + (p->kind == PLOT_BARS ? bars_height(p) : lines_height(p)) + panel_gap;
}

static void put_picture(FILE *out, const char *title, const struct plot_panel *panels, size_t count)
{
    double height = margin + title_height, y = height;
    for (size_t i = 0; i < count; i++)
        height += panel_height(&panels[i]);
    fprintf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">\n<style>\n%s"
        "</style>\n<rect class=\"back\" width=\"100%%\" height=\"100%%\"/>\n",
        picture_width, height, picture_width, height, style);
    put_label(out, margin, margin + 14, "start", "title", title);
    for (size_t i = 0; i < count; i++) {
        put_label(out, margin, y + 14, "start", "panel", panels[i].title);
        (panels[i].kind == PLOT_BARS ? put_bars : put_lines)(out, &panels[i], y + panel_title_height);
        y += panel_height(&panels[i]);
    }
    fputs("</svg>\n", out);
}

bool plot_write(const char *file, const char *title, const struct plot_panel *panels, size_t panel_count,
                struct problem *problem)
{
    FILE *out = fopen(file, "we");
    if (out == NULL)
        return problem_set(problem, EXIT_TROUBLE, "cannot write %s: %s", file, strerror(errno));
    put_picture(out, title, panels, panel_count);
    bool written = ferror(out) == 0;
    if (fclose(out) != 0 || !written)
        return problem_set(problem, EXIT_TROUBLE, "cannot write %s: %s", file, strerror(errno));
    return true;
}

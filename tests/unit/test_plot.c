/* Charts: as many bars and points as there are values, ticks at round numbers, and no text on top of another. That they are
 * well-formed XML is checked by tests/e2e/test_experiments.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "lab/plot.c" /* its axes and widths are tested, too */

enum { TEXTS_MAX = 400 };

/* The picture of these panels; freed by the caller. */
static char *draw(const struct plot_panel *panels, size_t count)
{
    char file[] = "/tmp/synod-test-plot-XXXXXX", *text;
    struct problem problem;
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_true(plot_write(file, "A title", panels, count, &problem));
    off_t size = lseek(fd, 0, SEEK_END);
    text = calloc(1, (size_t)size + 1);
    assert_non_null(text);
    assert_int_equal(pread(fd, text, (size_t)size, 0), size);
    close(fd);
    unlink(file);
    return text;
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
        count++;
    return count;
}

static struct plot_panel panel_of(enum plot_kind kind, const char *const *categories, size_t category_count,
                                  const struct plot_series *series, size_t series_count)
{
    return (struct plot_panel){.kind = kind,
                               .title = "A panel",
                               .category_title = "what they are",
                               .categories = categories,
                               .category_count = category_count,
                               .series = series,
                               .series_count = series_count};
}

static const char *const five[] = {"native", "host", "a rather long name of a composition", "guest-tcp", "x"};
static const double rising[] = {1, 20, 300, 4000, 50000}, small[] = {0.001, 0.02, 0.5, 0.25, 0.125};
static const double gaps[] = {NAN, 7, NAN, NAN, 9}, zeros[] = {0, 0, 0, 0, 0}, none[] = {NAN, NAN, NAN, NAN, NAN};

/* ---- Tests ---- */

static void every_value_has_a_bar(void **state)
{
    const struct plot_series series[] = {{"first", rising}, {"second", gaps}, {"third", zeros}};
    const struct plot_panel panel = panel_of(PLOT_BARS, five, 5, series, 3);
    (void)state;
    char *text = draw(&panel, 1);
    assert_int_equal(count_of(text, "class=\"bar\""), 5 + 2 + 5);
    assert_int_equal(count_of(text, "class=\"value\""), 15); /* what is missing is a dash */
    assert_non_null(strstr(text, "<title>host, first: 20</title>"));
    assert_non_null(strstr(text, ">4,000<"));
    assert_int_equal(count_of(text, ">third<"), 1); /* in the legend */
    free(text);
}

static void every_value_has_a_point(void **state)
{
    const struct plot_series series[] = {{"first", rising}, {"second", gaps}, {"third", none}};
    struct plot_panel panel = panel_of(PLOT_LINES, five, 5, series, 3);
    (void)state;
    for (int logarithmic = 0; logarithmic <= 1; logarithmic++) {
        panel.logarithmic = logarithmic == 1;
        char *text = draw(&panel, 1);
        assert_int_equal(count_of(text, "class=\"point\""), 5 + 2);
        assert_int_equal(count_of(text, "class=\"line\""), 4); /* none across a gap */
        assert_non_null(strstr(text, ">what they are<"));
        free(text);
    }
}

static void what_does_not_go_on_a_logarithmic_axis_is_left_out(void **state)
{
    const double values[] = {10, 0, 1000};
    const struct plot_series series = {"s", values};
    struct plot_panel panel = panel_of(PLOT_LINES, five, 3, &series, 1);
    (void)state;
    panel.logarithmic = true;
    char *text = draw(&panel, 1);
    assert_int_equal(count_of(text, "class=\"point\""), 2);
    assert_int_equal(count_of(text, "class=\"tick\""), 3); /* 10, 100, 1,000 */
    free(text);
}

/* All of nothing, or only zeros: an axis all the same. */
static void there_may_be_nothing_to_see(void **state)
{
    const struct plot_series series[] = {{"first", none}, {"second", zeros}};
    const struct plot_panel panels[] = {panel_of(PLOT_BARS, five, 5, series, 2), panel_of(PLOT_LINES, five, 5, series, 2),
                                        panel_of(PLOT_LINES, five, 5, series, 1)};
    (void)state;
    char *text = draw(panels, 3);
    assert_int_equal(count_of(text, "class=\"bar\""), 5);
    assert_int_equal(count_of(text, "class=\"point\""), 5);
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    free(text);
}

static void ticks_are_round_numbers(void **state)
{
    static const struct {
        double high;
        const char *first, *second, *last;
    } rows[] = {
        {60.2, "0", "20", "80"},  {53041, "0", "10,000", "60,000"},
        {3, "0.0", "0.5", "3.0"}, {0.00071, "0.0000", "0.0002", "0.0008"},
        {1, "0.0", "0.2", "1.0"}, {1234567, "0", "500,000", "1,500,000"},
        {6, "0", "1", "6"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct axis axis = linear_axis(rows[i].high);
        char label[64];
        size_t ticks = axis_ticks(&axis);
        assert_in_range(ticks, 3, 8);
        axis_tick(&axis, 0, label, sizeof label);
        assert_string_equal(label, rows[i].first);
        axis_tick(&axis, 1, label, sizeof label);
        assert_string_equal(label, rows[i].second);
        assert_true(axis_tick(&axis, ticks - 1, label, sizeof label) >= rows[i].high * (1 - 1e-9));
        assert_string_equal(label, rows[i].last);
    }
}

static void decades_are_ticks(void **state)
{
    char label[64];
    (void)state;
    struct axis axis = logarithmic_axis(1.3, 391041);
    assert_int_equal(axis_ticks(&axis), 7);
    axis_tick(&axis, 6, label, sizeof label);
    assert_string_equal(label, "1,000,000");
    axis = logarithmic_axis(0.02, 0.05);
    assert_int_equal(axis_ticks(&axis), 2);
    axis_tick(&axis, 0, label, sizeof label);
    assert_string_equal(label, "0.01");
    axis = logarithmic_axis(5, 5);
    assert_int_equal(axis_ticks(&axis), 2);
    axis = logarithmic_axis(1e-6, 1e12);
    assert_in_range(axis_ticks(&axis), 2, DECADES_MAX + 1);
}

static void texts_are_escaped(void **state)
{
    const char *const categories[] = {"list<u8> & co", "two\nlines"};
    const double values[] = {1, 2};
    const struct plot_series series = {"a<b", values};
    const struct plot_panel panel = panel_of(PLOT_BARS, categories, 2, &series, 1);
    (void)state;
    char *text = draw(&panel, 1);
    assert_non_null(strstr(text, ">list&lt;u8&gt; &amp; co<"));
    assert_non_null(strstr(text, ">two lines<"));
    assert_non_null(strstr(text, "a&lt;b: 1<"));
    free(text);
}

/* ---- Nothing lies on top of something else ---- */

struct box {
    double left, right, top, bottom;
    char text[80];
};

static size_t read_boxes(const char *text, struct box *boxes)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, "<text ")) != NULL; at++) {
        struct box *b = &boxes[count++];
        char anchor[16], class[16];
        double x, y;
        assert_true(count <= TEXTS_MAX);
        assert_int_equal(sscanf(at, "<text x=\"%lf\" y=\"%lf\" text-anchor=\"%15[^\"]\" class=\"%15[^\"]\">%79[^<]", &x, &y,
                                anchor, class, b->text),
                         5);
        double size = strcmp(class, "title") == 0 ? 17 : strcmp(class, "panel") == 0 ? 13 : 12;
        double width = text_width(b->text) * size / 12;
        b->left = strcmp(anchor, "start") == 0 ? x : strcmp(anchor, "end") == 0 ? x - width : x - width / 2;
        b->right = b->left + width;
        b->top = y - size * 0.8;
        b->bottom = y + size * 0.2;
    }
    return count;
}

static void no_text_is_on_top_of_another(void **state)
{
    static struct box boxes[TEXTS_MAX];
    const struct plot_series few[] = {{"median", small}, {"P99", rising}};
    struct plot_series many[PLOT_SERIES_MAX];
    (void)state;
    for (size_t i = 0; i < PLOT_SERIES_MAX; i++)
        many[i] = (struct plot_series){"a series with a name", rising};
    struct plot_panel panels[] = {panel_of(PLOT_BARS, five, 5, few, 2), panel_of(PLOT_BARS, five, 5, many, 12),
                                  panel_of(PLOT_LINES, five + 3, 2, many, 12), panel_of(PLOT_LINES, five + 3, 2, few, 1)};
    panels[2].logarithmic = true;
    char *text = draw(panels, 4);
    size_t count = read_boxes(text, boxes);
    double width, height;
    assert_int_equal(sscanf(strstr(text, "<svg"), "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%lf\" height=\"%lf\"",
                            &width, &height),
                     2);
    assert_true(count > 100);
    for (size_t a = 0; a < count; a++) {
        if (boxes[a].left < 0 || boxes[a].right > width || boxes[a].bottom > height)
            fail_msg("'%s' does not fit in", boxes[a].text);
        for (size_t b = 0; b < a; b++)
            if (boxes[a].left < boxes[b].right && boxes[b].left < boxes[a].right && boxes[a].top < boxes[b].bottom &&
                boxes[b].top < boxes[a].bottom)
                fail_msg("'%s' lies on '%s'", boxes[a].text, boxes[b].text);
    }
    free(text);
}

static void a_file_that_cannot_be_written_is_an_error(void **state)
{
    const struct plot_series series = {"s", rising};
    const struct plot_panel panel = panel_of(PLOT_BARS, five, 5, &series, 1);
    struct problem problem = {0};
    (void)state;
    assert_false(plot_write("/nowhere/plot.svg", "A title", &panel, 1, &problem));
    assert_int_equal(problem.exit_code, EXIT_TROUBLE);
    assert_non_null(strstr(problem.text, "/nowhere/plot.svg"));
    assert_false(plot_write("/dev/full", "A title", &panel, 1, &problem));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_has_a_bar),
        cmocka_unit_test(every_value_has_a_point),
        cmocka_unit_test(what_does_not_go_on_a_logarithmic_axis_is_left_out),
        cmocka_unit_test(there_may_be_nothing_to_see),
        cmocka_unit_test(ticks_are_round_numbers),
        cmocka_unit_test(decades_are_ticks),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(no_text_is_on_top_of_another),
        cmocka_unit_test(a_file_that_cannot_be_written_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

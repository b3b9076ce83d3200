/* What a machine knows of configurations (P11): in its folder the newest one, and the one before as long as that is needed;
 * from these follow who is heard and who is not, as in the host. And how it begins as another instance. */
#include "core/base/memory.h"
#include "sim/world.h"

/* ---- The first configuration ---- */

void machine_address(uint32_t node, char address[MEMBER_ADDRESS_MAX], char client[MEMBER_ADDRESS_MAX], bool has_port)
{
    snprintf(address, MEMBER_ADDRESS_MAX, "192.0.2.%u:%d", node, NODE_PORT_NUMBER);
    snprintf(client, MEMBER_ADDRESS_MAX, has_port ? "192.0.2.%u:%d" : "-", node, CLIENT_PORT_NUMBER);
}

/* Lines of a key, a space and a value; those of nodes are left out. */
static void read_settings(const char *governed, struct configuration_text *t)
{
    for (const char *line = governed; *line != '\0'; line = strchr(line, '\n') + 1) {
        struct configuration_setting *s = &t->settings[t->setting_count];
        invariant(t->setting_count < CONFIGURATION_SETTINGS_MAX);
        if (strncmp(line, "node-", 5) != 0 && sscanf(line, "%31s %31s", s->key, s->value) == 2)
            t->setting_count++;
    }
}

/* As the file names it, complete: with the instances that have greeted. */
static struct payload first_text(const struct machine *m)
{
    const struct plan *plan = &m->world->plan;
    struct configuration_text *t = memory_new(1, sizeof *t);
    char governed[GOVERNED_TEXT_MAX];
    plan_governed(plan, &plan->config, governed);
    read_settings(governed, t);
    t->delay = plan->config.alpha;
    for (uint32_t i = 1; i <= plan->nodes; i++) {
        struct member *member = &t->members[i];
        if (node_set_has(plan->spares, i))
            continue;
        *member = (struct member){.node = i, .duties = plan->roles[i]};
        machine_first_instance(i, member->instance);
        machine_address(i, member->address, member->client, (plan->roles[i] & DUTY_PROPOSES) != 0);
    }
    const struct payload text = configuration_pack(t);
    free(t);
    return text;
}

/* As the frames of the modelled network have it. */
void machine_first_instance(uint32_t node, uint8_t instance[MEMBER_INSTANCE_SIZE]) { network_sim_instance(node, instance); }

/* ---- What is known ---- */

static void forget(struct known *k)
{
    payload_free(&k->text);
    free(k->read);
    *k = (struct known){0};
}

static struct known known_of(uint64_t slot, const struct payload *text)
{
    struct known k = {.slot = slot, .text = payload_copy(text), .read = memory_new(1, sizeof *k.read)};
    const char *wrong = configuration_read(payload_bytes(&k.text), k.text.len, k.read);
    invariant(wrong == NULL);
    return k;
}

void machine_members_close(struct machine *m)
{
    forget(&m->newest);
    forget(&m->before);
    payload_free(&m->first);
}

void machine_knows(struct machine *m, uint64_t slot, const struct payload *text)
{
    if (slot <= m->newest.slot)
        return;
    forget(&m->before);
    m->before = m->newest;
    m->newest = known_of(slot, text);
    m->alone = false;
}

void machine_settled(struct machine *m, uint64_t slot)
{
    if (slot != m->newest.slot || slot == 0)
        return;
    forget(&m->before);
    m->alone = true;
    m->leaves = m->newest.read->members[m->id].node == 0;
}

static bool is_in(const struct known *k, uint32_t node) { return k->slot != 0 && k->read->members[node].node != 0; }

/* Whether those of the first configuration, which the file names, are still needed. */
static bool needs_first(const struct machine *m) { return m->before.slot == 0 && !m->alone; }

/* The members that it reaches, and that reach it. */
static node_set reached(const struct machine *m)
{
    const struct plan *plan = &m->world->plan;
    node_set set = needs_first(m) ? ((UINT64_C(2) << plan->nodes) - 2) & ~plan->spares : 0;
    for (uint32_t i = 1; i <= plan->nodes; i++)
        set |= is_in(&m->newest, i) || is_in(&m->before, i) ? node_set_of(i) : 0;
    return set;
}

static void add_sets(struct node_config *c, const struct known *k)
{
    if (k->slot == 0)
        return;
    const struct configuration more = configuration_of(k->read, k->slot);
    c->proposers |= more.proposers;
    c->acceptors |= more.acceptors;
    c->learners |= more.learners;
}

struct node_config machine_members(const struct machine *m)
{
    struct node_config c = m->config;
    if (!needs_first(m))
        c.proposers = c.acceptors = c.learners = 0;
    add_sets(&c, &m->newest);
    add_sets(&c, &m->before);
    if (m->leaves) { /* it still says what it had to say in the turn in which it hears so */
        const uint8_t duties = m->world->plan.roles[m->id];
        c.proposers |= (duties & DUTY_PROPOSES) != 0 ? node_set_of(m->id) : 0;
        c.acceptors |= (duties & DUTY_ACCEPTS) != 0 ? node_set_of(m->id) : 0;
        c.learners |= (duties & DUTY_LEARNS) != 0 ? node_set_of(m->id) : 0;
    }
    return c;
}

node_set machine_reaches(const struct machine *m) { return m->world->plan.changes ? reached(m) : ~(node_set)0; }

enum hearing machine_hears(const struct machine *m, const struct frame_origin *from)
{
    if (!m->world->plan.changes)
        return from->incarnation >> MACHINE_BOOTS_BITS == 0 ? HEARD : NOT_YET; /* as judge_by_file */
    const struct known *k = is_in(&m->newest, from->sender) ? &m->newest : &m->before;
    if (!node_set_has(reached(m), from->sender))
        return m->newest.slot > m->world->machines[from->sender].admitted ? REFUSED_FOR_GOOD : NOT_YET;
    if (!is_in(k, from->sender) ||
        memcmp(k->read->members[from->sender].instance, from->instance, MEMBER_INSTANCE_SIZE) == 0)
        return HEARD;
    return k->read->members[from->sender].number > from->incarnation >> MACHINE_BOOTS_BITS ? REFUSED_FOR_GOOD : NOT_YET;
}

bool machine_knows_instance(const struct machine *m, uint32_t node, const uint8_t instance[MEMBER_INSTANCE_SIZE])
{
    return is_in(&m->newest, node) && memcmp(m->newest.read->members[node].instance, instance, MEMBER_INSTANCE_SIZE) == 0;
}

void machine_greets(struct machine *m)
{
    const struct world *w = m->world;
    struct frame_origin self = {.sender = m->id, .incarnation = m->config.incarnation};
    memcpy(self.instance, m->instance, sizeof self.instance);
    if (m->number == 0 && m->joined == 0)
        machine_first_instance(m->id, self.instance);
    for (uint32_t i = 1; i <= w->plan.nodes; i++)
        if (i != m->id && w->machines[i].state == MACHINE_UP && machine_hears(&w->machines[i], &self) == REFUSED_FOR_GOOD)
            m->refused_by |= node_set_of(i);
}

/* ---- What the node is given ---- */

static bool may_give_first(const struct machine *m)
{
    const node_set members = ((UINT64_C(2) << m->world->plan.nodes) - 2) & ~m->world->plan.spares;
    return m->newest.slot == 0 && m->joined == 0 && !m->given_first &&
           ((m->heard | node_set_of(m->id)) & members) == members;
}

bool machine_may_give(const struct machine *m) { return m->world->plan.changes && may_give_first(m); }

static struct packet packet_of(const struct known *k, uint32_t kind)
{
    return (struct packet){.id = k->slot, .kind = kind, .len = k->text.len, .words = k->text.words};
}

/* In the first turn of a life the newest one, and the one before as long as that is needed; the complete first one, once all
 * its members have greeted. */
size_t machine_gives(struct machine *m, struct packet given[MACHINE_GIVES_MAX])
{
    size_t count = 0;
    if (!m->world->plan.changes)
        return 0;
    if (!m->given && m->before.slot != 0)
        given[count++] = packet_of(&m->before, CONFIGURATION_CHOSEN);
    if (!m->given && m->newest.slot != 0)
        given[count++] = packet_of(&m->newest, m->alone ? CONFIGURATION_SETTLED : CONFIGURATION_CHOSEN);
    m->given = true;
    if (may_give_first(m)) {
        payload_free(&m->first);
        m->first = first_text(m);
        given[count++] = (struct packet){.id = 0, .len = m->first.len, .words = m->first.words};
        m->given_first = true;
    }
    return count;
}

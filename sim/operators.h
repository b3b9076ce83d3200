/* The operator of a simulated cluster: adds nodes, removes them, replaces those whose disks are gone, and changes settings,
 * one such thing after the other. He asks any node that is up, and asks again until what he wants is chosen, or until he has
 * had enough. What a machine needs to begin as a new instance he does as `synod init --join` has it done: the newest
 * configuration that another node knows says which instance it is. */
#ifndef SYNOD_SIM_OPERATORS_H
#define SYNOD_SIM_OPERATORS_H

#include "core/formats/configuration.h"
#include "core/formats/packet.h"
#include "sim/dice.h"
#include "sim/faults.h"

struct world;
struct machine;

struct operator
{
    struct dice dice;
    enum fault wants; /* one of his four kinds; FAULTS: nothing */
    uint32_t node;    /* which it concerns */
    uint8_t instance[MEMBER_INSTANCE_SIZE];
    char key[CONFIGURATION_WORD_MAX], value[CONFIGURATION_WORD_MAX];
    uint64_t since_slot; /* the newest configuration when he began */
    uint64_t in_doubt;   /* as long as this is the newest one, a change of which he has heard no outcome may come; 0: none */
    uint64_t next_at;    /* when he looks again */
    uint64_t until;      /* when he has had enough */
    uint32_t asked;      /* the machine that has not answered yet; 0: none */
    uint64_t tokens;     /* that he has used */
};

void operator_init(struct operator* o, uint64_t seed);
/* An opportunity to want something. False: he wants something else, or this cannot be wanted now. */
bool operator_wants(struct world *w, enum fault what);
/* Looks whether he has what he wants, or asks for it; and begins machines that were admitted. */
void operator_run(struct world *w);
/* A machine answers him. `text` (`len` bytes): an error; NULL: done. */
void operator_answered(struct world *w, struct machine *m, const char *text, size_t len);
/* Nothing is to be done, and none is on its way. */
bool operator_idle(const struct world *w);

#endif

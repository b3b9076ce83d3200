/* A configuration as text: the value of an entry of kind ENTRY_CONFIGURATION (P11). Lines, each of words with one space
 * between them, always in this order:
 *
 *   replaces 813       the slot of the configuration that it replaces; 0: the first one
 *   delay 64           it governs from so many slots after its own on: the alpha of the one that it replaces
 *   fresh 4            the member whose instance is new with it; 0: none
 *   alpha 64           the settings that are governed, as io/governed.c prints them; phase1_quorum and phase2_quorum too
 *   ...
 *   first_state_bytes_max 536870912
 *                      (and first_alpha) what the first configuration said; only where that was changed
 *   member 4 coordinator full 1 00112233445566778899aabbccddeeff 10.0.0.4:7000 10.0.0.4:6379
 *                      by rising number: role; "full", or "joining" for one that is only a learner yet, and does not count
 *                      in a majority; number of its instance; instance id; address; client address, "-" for none
 *   gone 3 0           a node that was a member, and the number of its last instance
 *
 * Of each configuration there is one such text. */
#ifndef SYNOD_CORE_FORMATS_CONFIGURATION_H
#define SYNOD_CORE_FORMATS_CONFIGURATION_H

#include "core/base/types.h"

enum {
    CONFIGURATION_TEXT_MAX = 48 * 1024,
    CONFIGURATION_WORD_MAX = 32, /* of a setting's key or value, with the end */
    CONFIGURATION_SETTINGS_MAX = 16,
    CONFIGURATION_ALPHA_MAX = 4096,
    CONFIGURATION_STATE_MIN = 64 * 1024,
    MEMBER_ADDRESS_MAX = 272, /* with the end */
    MEMBER_INSTANCE_SIZE = 16,
    MEMBER_NUMBER_MAX = 4095, /* it shares 32 bits with the count of boots */
};

#define CONFIGURATION_STATE_MAX (UINT64_C(3) << 30)

struct member {
    uint32_t node;  /* 0: none */
    uint8_t duties; /* bits of enum duty: those of a role */
    bool joining;   /* it is only a learner yet, and does not count */
    uint32_t number;
    uint8_t instance[MEMBER_INSTANCE_SIZE];
    char address[MEMBER_ADDRESS_MAX];
    char client[MEMBER_ADDRESS_MAX]; /* "-": none */
};

struct configuration_setting {
    char key[CONFIGURATION_WORD_MAX], value[CONFIGURATION_WORD_MAX];
};

struct configuration_text {
    uint64_t replaces;
    uint32_t delay;
    uint32_t fresh;
    struct configuration_setting settings[CONFIGURATION_SETTINGS_MAX];
    size_t setting_count;
    struct member members[NODE_ID_MAX + 1]; /* by node; node 0: no member */
    bool gone[NODE_ID_MAX + 1];             /* was a member */
    uint32_t gone_number[NODE_ID_MAX + 1];
};

/* Reads a text that may come from anywhere, and checks what it says. NULL: it is sound; otherwise what is wrong. */
const char *configuration_read(const void *text, size_t len, struct configuration_text *t);
/* Checks what is to be proposed: quorums that meet, at least one node in each role, an instance for each member. NULL: it is
 * sound; otherwise what is wrong. */
const char *configuration_check(const struct configuration_text *t);
/* Writes the text; returns its length. */
size_t configuration_print(const struct configuration_text *t, char text[CONFIGURATION_TEXT_MAX]);
/* The text as the value of an entry, which the caller releases with payload_free. */
struct payload configuration_pack(const struct configuration_text *t);

/* The value of a governed setting; NULL: there is none. */
const char *configuration_setting(const struct configuration_text *t, const char *key);
/* Whether a governed setting can be changed while a cluster runs. */
bool configuration_may_set(const char *key);
/* What such a setting was in the first configuration: of alpha and state_bytes_max. 0: the text does not say. */
uint64_t configuration_first(const struct configuration_text *t, const char *key);
/* What the parts count with, when it was chosen in `slot` (0: the first one). Precondition: the text is sound. */
struct configuration configuration_of(const struct configuration_text *t, uint64_t slot);
/* The same for the value of an entry. False: it is no sound configuration. */
bool configuration_unpack(const struct payload *value, uint64_t slot, struct configuration *configuration);
/* By node: the number of its newest instance, of one that was removed, too. 0: it has none, or the value is no sound
 * configuration. */
void configuration_numbers(const struct payload *value, uint32_t numbers[NODE_ID_MAX + 1]);

/* "coordinator", "proposer", "acceptor" or "learner", and what that has to do. "": no role has those duties; 0: no role is
 * called so. */
const char *configuration_role_name(uint8_t duties);
uint8_t configuration_role(const char *name, size_t len);

enum configuration_verb {
    CONFIGURATION_ADD,     /* `member`: all but the number and `joining` */
    CONFIGURATION_REMOVE,  /* member.node */
    CONFIGURATION_REPLACE, /* member.node, instance; addresses, if they are not empty */
    CONFIGURATION_PROMOTE, /* member.node, which is joining, has caught up */
    CONFIGURATION_SET,     /* `setting` */
};
struct configuration_request {
    uint8_t verb; /* enum configuration_verb */
    struct member member;
    struct configuration_setting setting;
};

/* What a change makes of the configuration that was chosen in `slot`. Quorums that were majorities stay majorities; other
 * ones stay apart: phase2_quorum stays, and phase1_quorum follows. Returns NULL, or why it cannot be: the text of an error
 * reply. */
const char *configuration_change(const struct configuration_text *from, uint64_t slot,
                                 const struct configuration_request *request, struct configuration_text *to);

#endif

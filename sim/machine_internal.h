/* What the files of the machine share. */
#ifndef SYNOD_SIM_MACHINE_INTERNAL_H
#define SYNOD_SIM_MACHINE_INTERNAL_H

#include "sim/machine.h"

/* ---- machine_ports.c ---- */
extern const struct ports_operations machine_ports;
/* Sends bytes to everybody that are no message. */
void machine_send_garbage(struct machine *m);

/* ---- machine.c ---- */
/* The node was given all records that the journal held. */
void machine_recovered(struct machine *m);

#endif

/*
 * dns_rig.h — a small name server on a test's loop.
 *
 * It answers by the first label of a name: "v4", "both" and "zero" have addresses (zero's may be kept for 0 s), "nx" doesn't
 * exist, "servfail" fails, "silent" is not answered, "here" is ::1 and 127.0.0.1, "many" has more of the loopback's
 * addresses. Any other: 192.0.2.1.
 */
#pragma once
#include "dns.h"

struct dns_rig {
	struct io_watch watch;
	int questions;    /* for A; each has one for AAAA beside it */
	char address[32]; /* for dns_options.servers */
};

int dns_rig_open(struct loop *l, struct dns_rig *rig);
void dns_rig_close(struct dns_rig *rig);

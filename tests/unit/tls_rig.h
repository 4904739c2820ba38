/*
 * tls_rig.h — certificates made for a test, in a directory of their own: PEM files of key and certificate in one.
 */
#pragma once

/*
 *	ca.pem        the authority that the others are from, unless they say otherwise
 *	server.pem    for localhost, 127.0.0.1, ::1 and *.wild.test
 *	other.pem     for other.test
 *	expired.pem   for localhost, until yesterday
 *	early.pem     for localhost, from tomorrow on
 *	self.pem      for localhost, by itself
 *	alice.pem     CN=alice, a client's
 *	stranger.pem  CN=mallory, by itself
 *	empty.pem     nothing
 *	locked.pem    a key behind a pass phrase
 */
/* For a group of tests; 0, or -1. */
int tls_rig_open(void **state);
int tls_rig_close(void **state);
/* A file's path; valid until the eighth call after. */
const char *tls_rig_path(const char *name);

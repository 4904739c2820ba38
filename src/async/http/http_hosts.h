/*
 * http_hosts.h — which addresses libcurl was told for which host and port.
 *
 * libcurl keeps what CURLOPT_RESOLVE says for as long as its multi handle lives. So it is told only when a host is new or
 * its addresses have changed, and told to forget the host that was used least recently when there are too many.
 */
#pragma once
#include "dns.h"
#include "map.h"

#include <curl/curl.h>

struct http_hosts {
	struct map map;
	struct list lru; /* least recently used first */
};

void http_hosts_init(struct http_hosts *h);
void http_hosts_done(struct http_hosts *h);

/* *ret_list is what CURLOPT_RESOLVE must say, the caller's; NULL if libcurl knows it already (and `again` is false). */
int http_hosts_tell(struct http_hosts *h, const char *host, uint16_t port, struct dns_answer *answer,
		    bool again, struct curl_slist **ret_list) GA_MUST_CHECK;

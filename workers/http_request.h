/*
 * http_request.h — an http job's arguments as a request.
 */
#pragma once
#include <gather/http.h>
#include <gather/worker.h>

#define HTTP_HEADERS_MAX 128

/* The pointers in `request` are into this or into the job's arguments; ga_http_request() copies what they point to. */
struct http_build {
	struct ga_http_request request;
	struct ga_http_header headers[HTTP_HEADERS_MAX + 1]; /* and a Content-Type */
	char *owned[HTTP_HEADERS_MAX + 3];                   /* texts made here */
	size_t owned_count;
};

/* 0, or a negative value after ga_job_fail(). In both cases http_build_done() is due. */
int http_build(ga_job *job, struct http_build *b);
void http_build_done(struct http_build *b);

/*
 * Gearman, foreground jobs:
 *
 *	gearman worker PORT
 *	gearman client PORT JOBS WINDOW     in batches of WINDOW
 */
#include "figures.h"
#include <libgearman/gearman.h>
#include <string.h>

static struct figures figures;

static void *echo(gearman_job_st *job, void *context, size_t *ret_size, gearman_return_t *ret_status)
{
	void *result = malloc(gearman_job_workload_size(job));

	(void)context;
	*ret_size = gearman_job_workload_size(job);
	memcpy(result, gearman_job_workload(job), *ret_size);
	*ret_status = GEARMAN_SUCCESS;
	return result;
}

static int worker(in_port_t port)
{
	gearman_worker_st *w = gearman_worker_create(NULL);

	gearman_worker_add_server(w, "127.0.0.1", port);
	gearman_worker_add_function(w, "noop", 0, echo, NULL);
	figures_worker_ready();
	while (gearman_worker_work(w) == GEARMAN_SUCCESS)
		;
	return 0;
}

static void lone(gearman_client_st *c)
{
	char payload[PAYLOAD_SIZE] = { 0 };
	int64_t now = figures_now();
	gearman_return_t status;
	size_t size;
	void *result;

	result = gearman_client_do(c, "noop", NULL, payload, sizeof(payload), &size, &status);
	if (status != GEARMAN_SUCCESS || size != PAYLOAD_SIZE)
		figures_fail("job: %s", gearman_client_error(c));
	figures_add(&figures, now);
	free(result);
}

static gearman_return_t complete(gearman_task_st *task)
{
	int64_t then;

	if (gearman_task_data_size(task) != PAYLOAD_SIZE)
		return GEARMAN_INVALID_ARGUMENT;
	memcpy(&then, gearman_task_data(task), sizeof(then));
	figures_add(&figures, then);
	return GEARMAN_SUCCESS;
}

static void batch(gearman_client_st *c, char *payloads, int count)
{
	for (int i = 0; i < count; i++) {
		char *payload = payloads + (size_t)i * PAYLOAD_SIZE;
		int64_t now = figures_now();
		gearman_return_t status;

		memcpy(payload, &now, sizeof(now));
		gearman_client_add_task(c, NULL, NULL, "noop", NULL, payload, PAYLOAD_SIZE, &status);
		if (status != GEARMAN_SUCCESS)
			figures_fail("add: %s", gearman_client_error(c));
	}
	if (gearman_client_run_tasks(c) != GEARMAN_SUCCESS)
		figures_fail("run: %s", gearman_client_error(c));
}

static int client(in_port_t port, int jobs, int window)
{
	gearman_client_st *c = gearman_client_create(NULL);
	char *payloads = calloc((size_t)window, PAYLOAD_SIZE);

	gearman_client_add_server(c, "127.0.0.1", port);
	gearman_client_set_complete_fn(c, complete);
	gearman_client_add_options(c, GEARMAN_CLIENT_FREE_TASKS);
	figures_start(&figures);
	for (int done = 0; done < jobs; done += window) {
		if (window == 1)
			lone(c);
		else
			batch(c, payloads, jobs - done < window ? jobs - done : window);
	}
	if (figures.count != (uint64_t)jobs)
		figures_fail("results are missing");
	figures_print(&figures);
	return 0;
}

int main(int argc, char *argv[])
{
	if (argc == 3 && !strcmp(argv[1], "worker"))
		return worker((in_port_t)atoi(argv[2]));
	if (argc == 5 && !strcmp(argv[1], "client"))
		return client((in_port_t)atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
	return 2;
}

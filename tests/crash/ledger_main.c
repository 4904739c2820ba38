/*
 * ledger_main.c — `ledger produce` hands jobs to a daemon that keeps dying; `ledger judge` says whether it kept its word.
 */
#include "ledger_file.h"
#include <stdio.h>
#include <string.h>

int main(int argc, char *argv[])
{
	if (argc > 1 && strcmp(argv[1], "produce") == 0)
		return ledger_produce(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "judge") == 0)
		return ledger_judge(argc - 1, argv + 1);
	fputs("Usage: ledger produce|judge OPTIONS\n", stderr);
	return 2;
}

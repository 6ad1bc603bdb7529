#define _GNU_SOURCE
#include "show-trace.h"
#include "trace.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mark {
	char phase[512];
	long long at;
};

static int earlier(const void *a, const void *b)
{
	long long difference = ((const struct mark *)a)->at - ((const struct mark *)b)->at;

	return difference < 0 ? -1 : difference > 0;
}

/* The console is the only way out to the caller. */
void show_trace(void)
{
	static struct mark marks[256];
	const char *times = getenv(TRACE_VARIABLE);
	FILE *file = times ? fopen(TRACE_FILE, "re") : NULL;
	long long last, began;
	char line[1024];
	size_t count = 0;

	if (!file || sscanf(times, "%lld:%lld", &last, &began) != 2)
		return;
	while (count < sizeof marks / sizeof *marks && fgets(line, sizeof line, file)) {
		char *time = strrchr(line, ' ');
		if (!time)
			continue;
		*time = '\0';
		snprintf(marks[count].phase, sizeof marks[count].phase, "%.500s", line);
		marks[count++].at = atoll(time + 1);
	}
	fclose(file);
	qsort(marks, count, sizeof *marks, earlier);
	int console = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	for (size_t i = 0; console >= 0 && i < count; last = marks[i++].at)
		dprintf(console, "trace: %-24s %9.1f ms, at %9.1f ms\n", marks[i].phase, (double)(marks[i].at - last) / 1000,
			(double)(marks[i].at - began) / 1000);
	if (console >= 0)
		close(console);
}

/*
 * memory-watch APP...: ends what the kernel of the guest would draw out. An app that has filled its memory limit loses the
 * pages of its own program, again and again, and each has to come from the host; as long as one can be taken away the
 * kernel does not call this out of memory, for minutes perhaps. When an app has done nothing else for some seconds, this
 * program kills the process that the kernel would have killed. (A lower memory.max makes the kernel kill by itself, but
 * often a second process while the first has not freed its memory yet.)
 */
#define _GNU_SOURCE
#include "find-app.h"
#include "memory-marks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 500
/* So many ticks without any other. */
#define PATIENCE 6
#define PAGE 4096u
/* Part of the limit that pages of files have left; an app that reads large files has more. */
#define FILES_PART 16
/* Of programs, in a tick: who only reads has none. */
#define FEWEST_FAULTS 20
/* In a tick, everything that is kept of files was read again so often. */
#define FEWEST_ROUNDS 2
/* Percent of a tick in which the whole app stood still, where the kernel counts it. */
#define LEAST_STALL 80

struct sample {
	/* CLOCK_MONOTONIC, in microseconds. */
	int64_t at;
	uint64_t limit_hits;
	uint64_t faults;
	uint64_t refaulted_pages;
	uint64_t files;
	/* Microseconds; -1 when the kernel does not count them. */
	int64_t stalled;
};

struct app {
	const char *name;
	/* memory.events; -1 before the app has a cgroup. */
	int events;
	bool ended;
	bool sampled;
	struct sample last;
	int bad_ticks;
};

static int open_file(const char *app, const char *file, int flags)
{
	char path[512];

	snprintf(path, sizeof path, APP_CGROUPS "/%s.service/%s", app, file);
	return open(path, flags | O_CLOEXEC);
}

/* False when the file is not there. */
static bool read_file(const char *app, const char *file, char *text, size_t size)
{
	int fd = open_file(app, file, O_RDONLY);
	ssize_t length = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[length > 0 ? length : 0] = '\0';
	return length > 0;
}

/* The number behind a word at the beginning of a line; -1 without such a line. */
static int64_t number_of(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *line = text; line; line = (line = strchr(line, '\n')) ? line + 1 : NULL)
		if (!strncmp(line, word, length))
			return (int64_t)strtoull(line + length, NULL, 10);
	return -1;
}

static bool take_sample(const struct app *app, struct sample *sample)
{
	char text[8192];
	struct timespec t;
	ssize_t length = pread(app->events, text, sizeof text - 1, 0);

	if (length <= 0)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &t);
	sample->at = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
	text[length] = '\0';
	sample->limit_hits = (uint64_t)number_of(text, "max ");
	if (!read_file(app->name, "memory.stat", text, sizeof text))
		return false;
	sample->faults = (uint64_t)number_of(text, "pgmajfault ");
	sample->refaulted_pages = (uint64_t)number_of(text, "workingset_refault_file ");
	sample->files = (uint64_t)number_of(text, "file ");
	const char *full = read_file(app->name, "memory.pressure", text, sizeof text) ? strstr(text, "full ") : NULL;
	const char *total = full ? strstr(full, "total=") : NULL;
	sample->stalled = total ? (int64_t)strtoull(total + 6, NULL, 10) : -1;
	return true;
}

/* 0 without a limit. */
static uint64_t limit_of(const struct app *app)
{
	char text[64];

	return read_file(app->name, "memory.max", text, sizeof text) ? strtoull(text, NULL, 10) : 0;
}

/* The app got nothing done since the sample before but to lose its pages and to get them back. */
static bool is_thrashing(const struct app *app, const struct sample *now)
{
	const struct sample *last = &app->last;
	uint64_t limit = limit_of(app);
	uint64_t read_again = (now->refaulted_pages - last->refaulted_pages) * PAGE;
	bool stood_still = now->stalled < 0 || (now->stalled - last->stalled) * 100 >= (now->at - last->at) * LEAST_STALL;

	return limit > 0 && now->limit_hits > last->limit_hits && now->files < limit / FILES_PART &&
	       now->faults - last->faults >= FEWEST_FAULTS && read_again > now->files * FEWEST_ROUNDS && stood_still;
}

/* How much the kernel would like to kill a process, proc(5); 0 for one that it may not. */
static long score_of(pid_t pid)
{
	char path[64], text[32] = "";

	snprintf(path, sizeof path, "/proc/%d/oom_score", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	return length > 0 ? strtol(text, NULL, 10) : 0;
}

/* 0 when there is nothing to kill. */
static pid_t find_victim(const char *app)
{
	char path[512];
	pid_t victim = 0, pid;
	long most = 0;

	snprintf(path, sizeof path, APP_CGROUPS "/%s.service/cgroup.procs", app);
	FILE *list = fopen(path, "re");
	while (list && fscanf(list, "%d", &pid) == 1) {
		long score = score_of(pid);
		if (score <= most)
			continue;
		most = score;
		victim = pid;
	}
	if (list)
		fclose(list);
	return victim;
}

/* app-status finds the mark. */
static void kill_for_memory(const char *app)
{
	char mark[512];
	pid_t victim = find_victim(app);

	if (victim == 0)
		return;
	snprintf(mark, sizeof mark, MEMORY_MARKS "/%s", app);
	mkdir(MEMORY_MARKS, 0755);
	int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0)
		close(fd);
	dprintf(2, "rkt: app %s did nothing but wait for memory: process %d is killed\n", app, victim);
	kill(victim, SIGKILL);
}

/* True when nothing happens that has to be looked at again after a tick. */
static bool examine(struct app *app)
{
	struct sample now;

	if (app->ended)
		return true;
	if (app->events < 0 && (app->events = open_file(app->name, "memory.events", O_RDONLY)) < 0)
		return false;
	if (!take_sample(app, &now)) {
		close(app->events);
		app->events = -1;
		app->ended = true;
		return true;
	}
	bool calm = app->sampled && now.limit_hits == app->last.limit_hits;
	app->bad_ticks = app->sampled && is_thrashing(app, &now) ? app->bad_ticks + 1 : 0;
	app->last = now;
	app->sampled = true;
	if (app->bad_ticks >= PATIENCE) {
		kill_for_memory(app->name);
		app->bad_ticks = 0;
	}
	return calm;
}

int main(int argc, char **argv)
{
	size_t count = argc > 1 ? (size_t)argc - 1 : 0;
	struct app *apps = calloc(count + 1, sizeof *apps);
	struct pollfd *fds = calloc(count + 1, sizeof *fds);

	for (size_t i = 0; apps && i < count; i++) {
		if (!is_app_name(argv[i + 1]))
			return 1;
		apps[i] = (struct app){ .name = argv[i + 1], .events = -1 };
	}
	for (bool alive = apps && fds && count > 0; alive;) {
		bool calm = true;
		alive = false;
		for (size_t i = 0; i < count; i++) {
			calm = examine(&apps[i]) && calm;
			alive = alive || !apps[i].ended;
			fds[i] = (struct pollfd){ .fd = apps[i].events, .events = POLLPRI };
		}
		/* The kernel says when a limit is hit again. */
		if (calm && alive)
			poll(fds, count, -1);
		else
			nanosleep(&(struct timespec){ .tv_nsec = TICK_MS * 1000000L }, NULL);
	}
	return 0;
}

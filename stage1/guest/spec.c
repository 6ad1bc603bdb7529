#define _GNU_SOURCE
#include "spec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPEC_LIMIT (16 * 1024 * 1024)

void die(int status, const char *format, ...)
{
	char message[1024];
	int error = errno;
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	if (error)
		dprintf(2, "rkt: %s: %s\n", message, strerror(error));
	else
		dprintf(2, "rkt: %s\n", message);
	_exit(status);
}

void list_add(struct list *list, char *item)
{
	/* One more than needed: an argv or environment ends with NULL. */
	list->items = realloc(list->items, (list->count + 2) * sizeof *list->items);
	if (!list->items)
		die(1, "out of memory");
	list->items[list->count++] = item;
	list->items[list->count] = NULL;
}

static char *read_all(int fd, size_t *size)
{
	struct stat st;
	size_t used = 0;

	if (fstat(fd, &st) < 0)
		die(1, "cannot read the specification");
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > SPEC_LIMIT) {
		errno = 0;
		die(1, "the specification is no regular file of a sensible size");
	}
	char *text = malloc((size_t)st.st_size);
	if (!text)
		die(1, "out of memory");
	while (used < (size_t)st.st_size) {
		ssize_t n = pread(fd, text + used, (size_t)st.st_size - used, (off_t)used);
		if (n <= 0)
			die(1, "cannot read the specification");
		used += (size_t)n;
	}
	*size = used;
	return text;
}

static uint64_t number(const char *key, const char *value, int base, uint64_t limit)
{
	char *end;

	errno = 0;
	uint64_t n = strtoull(value, &end, base);
	if (errno || *end || end == value || *value == '-' || n > limit) {
		errno = 0;
		die(1, "specification: %s=%s is no valid number", key, value);
	}
	return n;
}

/* (uid_t)-1 means "leave unchanged" to the kernel and is refused. */
#define ID_LIMIT 0xfffffffeu

static void set_field(struct spec *s, const char *key, char *value)
{
	struct { const char *key; struct list *list; } lists[] = {
		{ "bind", &s->binds }, { "readonly", &s->readonly }, { "mask", &s->masks },
		{ "group", &s->groups }, { "filter", &s->filters }, { "call", &s->calls },
		{ "env", &s->environment }, { "arg", &s->arguments }, { "socket", &s->sockets },
		{ "volume", &s->volumes }, { "rlimit", &s->rlimits },
		{ "pre-start", &s->pre_start }, { "post-stop", &s->post_stop },
	};
	struct { const char *key; bool *flag; } flags[] = {
		{ "readonly-root", &s->readonly_root }, { "bind-sys", &s->bind_sys },
		{ "no-new-privileges", &s->no_new_privileges }, { "keeper-stdio", &s->keeper_stdio },
		{ "plain-console", &s->plain_console }, { "notify", &s->pass_notify },
		{ "make-devices", &s->make_devices }, { "open-output", &s->open_output },
	};
	struct { const char *key; const char **text; } texts[] = {
		{ "root", &s->root }, { "cwd", &s->cwd }, { "filter-mode", &s->filter_mode },
		{ "selinux", &s->selinux }, { "apparmor", &s->apparmor },
	};

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		if (!strcmp(key, lists[i].key)) { list_add(lists[i].list, value); return; }
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (!strcmp(key, flags[i].key)) { *flags[i].flag = number(key, value, 10, 1); return; }
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (!strcmp(key, texts[i].key)) { *texts[i].text = value; return; }
	if (!strcmp(key, "uid"))
		s->uid = (uid_t)number(key, value, 10, ID_LIMIT);
	else if (!strcmp(key, "gid"))
		s->gid = (gid_t)number(key, value, 10, ID_LIMIT);
	else if (!strcmp(key, "bounding"))
		s->bounding = number(key, value, 16, UINT64_MAX);
	else if (!strcmp(key, "filter-errno"))
		s->filter_errno = (int)number(key, value, 10, 4095);
	else {
		errno = 0;
		die(1, "specification: unknown key %s", key);
	}
}

void spec_read(int fd, struct spec *spec)
{
	size_t size;
	char *text = read_all(fd, &size);

	memset(spec, 0, sizeof *spec);
	if (text[size - 1] != '\0') {
		errno = 0;
		die(1, "the specification is cut off");
	}
	for (char *line = text; line < text + size; line += strlen(line) + 1 ) {
		char *value = strchr(line, '=');
		if (!value) {
			errno = 0;
			die(1, "specification: %s has no value", line);
		}
		/* strlen(line) above must still see the whole line. */
		char *key = strndup(line, (size_t)(value - line));
		set_field(spec, key, value + 1);
		free(key);
	}
	if (!spec->root || !spec->cwd) {
		errno = 0;
		die(1, "the specification has no root or working directory");
	}
}

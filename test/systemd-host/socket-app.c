/*
 * An app with sockets from systemd, and one that says when it is ready. Prints what it got, then answers everybody on
 * its sockets with the name of the socket; on SIGTERM it ends with status 5.
 * socket-app [MILLISECONDS-UNTIL-READY]
 * socket-app describe                    only prints
 * socket-app ask TYPE ADDRESS [PORT]     is somebody who is answered; TYPE is a number of socket(2)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void end(int signal)
{
	(void)signal;
	_exit(5);
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "-";
}

static void print_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;

	printf("open");
	while ((entry = readdir(directory))) {
		int fd = atoi(entry->d_name);
		if (entry->d_name[0] != '.' && fd != dirfd(directory))
			printf(" %d%s", fd, fcntl(fd, F_GETFD) & FD_CLOEXEC ? "c" : "");
	}
	closedir(directory);
	puts("");
}

static void notify(const char *text)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!path)
		return;
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&address, sizeof address) < 0)
		perror("sendto");
	close(fd);
}

static void answer(int fd, const char *name)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;
	char buffer[256];
	int listening = 0;
	socklen_t size = sizeof listening;

	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size);
	if (listening) {
		int connection = accept(fd, NULL, NULL);
		dprintf(connection, "from %s\n", name);
		close(connection);
	} else {
		recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&peer, &length);
		int n = snprintf(buffer, sizeof buffer, "from %s\n", name);
		sendto(fd, buffer, (size_t)n, 0, (struct sockaddr *)&peer, length);
	}
}

static socklen_t unix_address(struct sockaddr_un *address, const char *path)
{
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof address->sun_path, "%s", path);
	if (*path == '@')
		address->sun_path[0] = '\0';
	return (socklen_t)(sizeof(sa_family_t) + strlen(path));
}

static int ask(int type, const char *to, const char *port)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	struct sockaddr_storage address = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
	socklen_t length = sizeof address;
	char buffer[256];

	if (!port) {
		length = unix_address((struct sockaddr_un *)&address, to);
	} else if (strchr(to, ':')) {
		*v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port)) };
		inet_pton(AF_INET6, to, &v6->sin6_addr);
	} else {
		*v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
		inet_pton(AF_INET, to, &v4->sin_addr);
	}
	int fd = socket(address.ss_family, type, 0);
	/* The kernel gives this end an address, to which it can be answered. */
	if (!port)
		bind(fd, (struct sockaddr *)&local, sizeof local.sun_family);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_sec = 10 }, sizeof(struct timeval));
	if (connect(fd, (struct sockaddr *)&address, length) < 0 || (type == SOCK_DGRAM && send(fd, "?", 1, 0) < 0))
		return perror(to), 1;
	ssize_t n = recv(fd, buffer, sizeof buffer, 0);
	return n > 0 && write(1, buffer, (size_t)n) == n ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct pollfd polled[16];
	char *names[16] = { 0 };
	int count = atoi(getenv("LISTEN_FDS") ? getenv("LISTEN_FDS") : "0");

	if (argc > 3)
		return ask(atoi(argv[2]), argv[3], argv[4]);
	signal(SIGTERM, end);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("fds=%s pid=%s names=%s\n", variable("LISTEN_FDS"),
	       atoi(variable("LISTEN_PID")) == getpid() ? "mine" : variable("LISTEN_PID"), variable("LISTEN_FDNAMES"));
	print_descriptors();
	if (argc > 1 && !strcmp(argv[1], "describe"))
		return 0;
	if (argc > 1) {
		usleep((useconds_t)atoi(argv[1]) * 1000);
		notify("READY=1\nSTATUS=serving");
	}
	puts("up");
	char *list = strdup(variable("LISTEN_FDNAMES"));
	for (int i = 0; i < count; i++) {
		names[i] = strtok(i ? NULL : list, ":");
		polled[i] = (struct pollfd){ .fd = 3 + i, .events = POLLIN };
	}
	for (;;) {
		poll(polled, (nfds_t)count, -1);
		for (int i = 0; i < count; i++)
			if (polled[i].revents)
				answer(polled[i].fd, names[i]);
	}
}

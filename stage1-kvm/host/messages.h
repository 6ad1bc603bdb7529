#ifndef RKT_MESSAGES_H
#define RKT_MESSAGES_H

#include <stddef.h>

/* What a program prints, of which only the end is kept: a guest may make it print without end. */
struct messages {
	/* To be polled and read; -1 when there is nothing more to come. */
	int fd;
	size_t size;
	char text[512];
};

/* Gives the descriptor that the program writes to; -1 on error. */
int messages_open(struct messages *messages);

void messages_read(struct messages *messages);

/* The last line, of printable characters; "" for none. */
const char *messages_last(struct messages *messages);

#endif

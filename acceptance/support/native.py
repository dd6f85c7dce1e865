"""A native function: a static C program that speaks the Runtime API over a plain socket."""

from support.packages import archive, compiled

# The client's loop; a scenario gives `handle`, which writes its answer (JSON) into `out`.
LOOP = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sched.h>
#include <unistd.h>

static char event[1 << 16], out[1 << 16];

HANDLE

static int dial(void) {
    char host[64], *colon;
    snprintf(host, sizeof host, "%s", getenv("AWS_LAMBDA_RUNTIME_API"));
    colon = strrchr(host, ':');
    *colon = 0;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(colon + 1))};
    inet_pton(AF_INET, host, &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) { perror("connect"); exit(9); }
    return fd;
}

/* One request on its own connection; the answer's body lands in `body`, the request id in `id`. */
static void ask(const char *method, const char *path, const char *send, char *body, size_t room, char *id) {
    static char text[1 << 17];
    int fd = dial(), size = 0, got;
    int length = snprintf(text, sizeof text,
        "%s %s HTTP/1.1\r\nHost: runtime\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
        method, path, strlen(send), send);
    if (write(fd, text, length) != length) exit(8);
    while ((got = read(fd, text + size, sizeof text - 1 - size)) > 0) size += got;
    close(fd);
    text[size] = 0;
    char *end = strstr(text, "\r\n\r\n");
    if (!end) exit(7);
    if (id) {
        const char *name = "lambda-runtime-aws-request-id:";
        for (char *line = text; line && line < end; line = strstr(line, "\r\n")) {
            if (line[0] == '\r') line += 2;
            if (!strncasecmp(line, name, strlen(name))) {
                sscanf(line + strlen(name), " %63s", id);
                break;
            }
        }
    }
    if (body) snprintf(body, room, "%s", end + 4);
}

int main(void) {
    char id[64], path[256];
    for (;;) {
        id[0] = 0;
        ask("GET", "/2018-06-01/runtime/invocation/next", "", event, sizeof event, id);
        out[0] = 0;
        handle();
        snprintf(path, sizeof path, "/2018-06-01/runtime/invocation/%s/response", id);
        ask("POST", path, out, NULL, 0, NULL);
    }
}
"""


def program(handle):
    """The executable whose `handle` is this C text."""
    return compiled("function", LOOP.replace("HANDLE", handle))


def native(handle):
    """The package of it."""
    return archive({"bootstrap*": program(handle)})


ECHO = 'static void handle(void) { snprintf(out, sizeof out, "{\\"native\\":%s}", event); }'

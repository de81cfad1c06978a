// The other end of a Unix socket, the same for QEMU and for us, and as fast as a plain loop is.
//
//     channel sink PATH        accepts connections one after the other and reads each to its end
//     channel send PATH FILE   connects, writes the file (from memory), and waits until the peer closes
//
// Prints one line of JSON for each connection, with times of CLOCK_MONOTONIC in nanoseconds.

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// Small enough to stay in the cache of a core.
#define CHUNK (256 << 10)

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static struct sockaddr_un address_of(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    fail(path);
  }
  strcpy(address.sun_path, path);
  return address;
}

static int new_socket(void) {
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) fail("socket");
  return fd;
}

static void sink(const char *path) {
  static char buffer[CHUNK];
  struct sockaddr_un address = address_of(path);
  int listener = new_socket();
  unlink(path);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1)) fail(path);
  printf("{\"listening\":true}\n");
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) fail("accept");
    uint64_t connected = now(), first = 0, bytes = 0;
    for (;;) {
      ssize_t n = read(fd, buffer, sizeof buffer);
      if (n < 0) fail("read");
      if (n == 0) break;
      if (bytes == 0) first = now();
      bytes += (uint64_t)n;
    }
    // The end is seen as soon as the writer has closed, right behind the last byte.
    uint64_t last = now();
    close(fd);
    printf("{\"connected\":%" PRIu64 ",\"first\":%" PRIu64 ",\"last\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n",
           connected, first, last, bytes);
  }
}

static void send_file(const char *path, const char *file) {
  struct sockaddr_un address = address_of(path);
  struct stat stat;
  int in = open(file, O_RDONLY), fd = new_socket();
  if (in < 0 || fstat(in, &stat)) fail(file);
  uint64_t size = (uint64_t)stat.st_size;
  const char *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, in, 0);
  if (bytes == MAP_FAILED) fail("mmap");
  // The peer may not be listening yet.
  while (connect(fd, (struct sockaddr *)&address, sizeof address)) {
    if (errno != ENOENT && errno != ECONNREFUSED) fail(path);
    usleep(1000);
  }
  uint64_t connected = now(), done = 0;
  while (done < size) {
    ssize_t n = write(fd, bytes + done, size - done < CHUNK ? size - done : CHUNK);
    if (n < 0) fail("write");
    done += (uint64_t)n;
  }
  uint64_t written = now();
  shutdown(fd, SHUT_WR);
  char byte;
  // Whether it closes with our bytes read or unread does not matter here.
  while (read(fd, &byte, 1) > 0) continue;
  printf("{\"connected\":%" PRIu64 ",\"written\":%" PRIu64 ",\"closed\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n",
         connected, written, now(), size);
}

int main(int count, char **argument) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (count == 3 && !strcmp(argument[1], "sink")) sink(argument[2]);
  else if (count == 4 && !strcmp(argument[1], "send")) send_file(argument[2], argument[3]);
  else return 2;
  return 0;
}

# Creates a container and becomes its first process: new namespaces, the mounts and the network of a plan, then init.pl.
# The process that was started ends with the container's exit code, or 128 + signal. It ends with its parent, and the
# container ends with it.
# enter.pl NETWORK-NAMESPACE PLAN INIT MODE ROOT UID GID GROUPS CWD ENVIRONMENT ARGV...   after INIT: init.pl's arguments
# A plan is a list of steps: a name and its arguments, each terminated by NUL. One process makes the system calls, because
# a shell script starts a program for each of them.
use strict;
use POSIX qw(:sys_wait_h);
my ($network, $plan, $init, @init) = @ARGV;
my $arm = (POSIX::uname())[4] eq 'aarch64';
my ($prctl, $setns, $unshare, $mount) = $arm ? (167, 268, 97, 40) : (157, 308, 272, 165);
my ($NEWNS, $NEWUTS, $NEWIPC, $NEWPID, $NEWNET) = (0x00020000, 0x04000000, 0x08000000, 0x20000000, 0x40000000);

sub folders {
  my ($path, $mode) = @_;
  $path =~ s{/+$}{};
  return if -d $path;
  folders($1, '755') if $path =~ m{^(.+)/[^/]+$};
  mkdir($path, oct $mode) or die "mkdir $path: $!\n";
  chmod(oct $mode, $path);
}
sub line {
  my ($path, $text) = @_;
  open(my $file, '>>', $path) or die "$path: $!\n";
  print $file $text;
  close($file) or die "$path: $!\n";
}
sub ip {
  open(my $batch, '|-', 'ip', '-batch', '-') or die "ip: $!\n";
  print $batch map { "$_\n" } @_;
  close($batch) or die "ip: @_\n";
}
my %steps = (
  mount => [5, sub {
    my ($source, $target, $type, $flags, $data) = @_;
    syscall($mount, $source, $target, $type, $flags + 0, $data) == 0 or die "mount $target: $!\n";
  }],
  folder => [2, \&folders],
  file => [1, sub { line($_[0], '') unless -e $_[0] }],
  link => [2, sub { symlink($_[0], $_[1]) or die "link $_[1]: $!\n" }],
  write => [2, \&line],
  # A pair of interfaces: one at the session's bridge, the other in the container's network namespace.
  network => [3, sub {
    my ($address, $bridge, $index) = @_;
    open(my $outer, '<', '/proc/thread-self/ns/net') or die "own network: $!\n";
    syscall($unshare, $NEWNET) == 0 or die "unshare: $!\n";
    my $child = fork() // die "fork: $!\n";
    if ($child == 0) {
      eval {
        syscall($setns, fileno($outer), $NEWNET) == 0 or die "setns: $!\n";
        ip("link add v$index type veth peer name eth0 netns 1", "link set v$index master $bridge up");
      };
      print STDERR $@;
      POSIX::_exit($@ eq '' ? 0 : 1);
    }
    waitpid($child, 0);
    die "no network\n" if $? != 0;
    close $outer;
    ip("addr add $address/16 dev eth0", 'link set eth0 up', 'link set lo up');
  }],
);

syscall($prctl, 1, 9, 0, 0, 0);
exit 137 if getppid() == 1;
open(my $space, '<', $network) or die "$network: $!\n";
syscall($setns, fileno($space), $NEWNET) == 0 or die "setns: $!\n";
close $space;
syscall($unshare, $NEWNS | $NEWUTS | $NEWIPC | $NEWPID) == 0 or die "unshare: $!\n";
# The child begins once it is bound to us and we still live.
pipe(my $armed, my $tell_armed) or die "pipe: $!\n";
pipe(my $go, my $tell_go) or die "pipe: $!\n";
my $child = fork() // die "fork: $!\n";
if ($child == 0) {
  close $armed; close $tell_go;
  syscall($prctl, 1, 9, 0, 0, 0);
  syswrite($tell_armed, 'x');
  sysread($go, my $byte, 1) or POSIX::_exit(137);
  close $go; close $tell_armed;
  eval {
    open(my $in, '<', $plan) or die "$plan: $!\n";
    my @words = split /\0/, do { local $/; <$in> }, -1;
    close $in;
    while (@words > 1) {
      my ($arguments, $do) = @{$steps{shift @words}};
      $do->(splice(@words, 0, $arguments));
    }
    @ARGV = @init;
    do $init;
    die $@;
  };
  print STDERR $@;
  POSIX::_exit(1);
}
close $go; close $tell_armed;
sysread($armed, my $byte, 1);
syswrite($tell_go, 'x');
POSIX::close($_) for 0, 1, 2, 3;
waitpid($child, 0);
POSIX::_exit(WIFSIGNALED($?) ? 128 + WTERMSIG($?) : WEXITSTATUS($?));

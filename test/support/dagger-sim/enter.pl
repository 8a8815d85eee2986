# Creates a container and becomes its first process: new namespaces, the mounts and the network of a plan, then init.pl.
# The process that was started ends with the container's exit code, or 128 + signal. It ends with its parent, and the
# container ends with it.
# enter.pl NETWORK-NAMESPACE PLAN INIT MODE ROOT UID GID GROUPS CWD ENVIRONMENT ARGV...   after INIT: init.pl's arguments
# A plan is a list of steps: a name and its arguments, each terminated by NUL. One process makes the system calls, because
# a shell script starts a program for each of them.
use strict;
our ($NEWNS, $NEWUTS, $NEWIPC, $NEWPID, $NEWNET);
do(($0 =~ m{^(.*)/})[0] . '/calls.pl') or die $@;
my ($network, $plan, $init, @init) = @ARGV;

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
my %steps = (
  mount => [5, sub {
    my ($source, $target, $type, $flags, $data) = @_;
    call('mount', $source, $target, $type, $flags + 0, $data) == 0 or die "mount $target: $!\n";
  }],
  folder => [2, \&folders],
  file => [1, sub { line($_[0], '') unless -e $_[0] }],
  link => [2, sub { symlink($_[0], $_[1]) or die "link $_[1]: $!\n" }],
  write => [2, \&line],
  # A pair of interfaces: one at the session's bridge (its index is that of network.pl), the other in the
  # container's network namespace.
  network => [2, sub {
    my ($address, $index) = @_;
    call('unshare', $NEWNET) == 0 or die "unshare: $!\n";
    ip("link add name v$index netns $network up master if1000 type veth peer name eth0",
      "addr add $address/16 dev eth0", 'link set eth0 up', 'link set lo up');
  }],
);

bound();
enter($network, $NEWNET);
call('unshare', $NEWNS | $NEWUTS | $NEWIPC | $NEWPID) == 0 or die "unshare: $!\n";
# The child begins once it is bound to us and we still live.
pipe(my $armed, my $tell_armed) or die "pipe: $!\n";
pipe(my $go, my $tell_go) or die "pipe: $!\n";
my $child = fork() // die "fork: $!\n";
if ($child == 0) {
  close $armed; close $tell_go;
  call('prctl', 1, 9, 0, 0, 0);
  syswrite($tell_armed, 'x');
  sysread($go, my $byte, 1) or leave(137);
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
  leave(1);
}
close $go; close $tell_armed;
sysread($armed, my $byte, 1);
syswrite($tell_go, 'x');
call('close', $_) for 0, 1, 2, 3;
waitpid($child, 0);
leave(code($?));

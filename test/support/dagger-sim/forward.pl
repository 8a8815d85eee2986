# Runs in a session's network and connects addresses there with sockets outside. Ends with its parent.
# forward.pl NETWORK-NAMESPACE OWN-ADDRESS ROUTE...   own address: added to the bridge, or -; a route is the words LISTEN
# CONNECT; an address is the path of a socket, or HOST:PORT with a numeric host.
use strict;
our $NEWNET;
do(($0 =~ m{^(.*)/})[0] . '/calls.pl') or die $@;
my ($PF_UNIX, $PF_INET, $SOCK_STREAM, $SOL_SOCKET, $SO_REUSEADDR) = (1, 2, 1, 1, 2);
my ($F_GETFL, $F_SETFL, $O_NONBLOCK, $EINTR, $EAGAIN, $EINPROGRESS) = (3, 4, 2048, 4, 11, 115);
my ($network, $own) = splice @ARGV, 0, 2;
bound();
enter($network, $NEWNET);
ip("addr add $own dev br0") if $own ne '-';
my (@listeners, %targets, %peers, %pending, %ended);
sub address {
  my ($text) = @_;
  return ($PF_UNIX, pack('S a*', $PF_UNIX, $text)) if $text =~ m{^/};
  my ($host, $port) = $text =~ /^(.+):(\d+)$/ or die "address: $text\n";
  return ($PF_INET, pack('S n C4 x8', $PF_INET, $port, split /\./, $host));
}
sub nonblocking { fcntl($_[0], $F_SETFL, fcntl($_[0], $F_GETFL, 0) | $O_NONBLOCK) }
while (my ($listen, $connect) = splice @ARGV, 0, 2) {
  my ($family, $name) = address($listen);
  socket(my $listener, $family, $SOCK_STREAM, 0) or die "socket: $!\n";
  setsockopt($listener, $SOL_SOCKET, $SO_REUSEADDR, 1);
  bind($listener, $name) && listen($listener, 511) or die "listen on $listen: $!\n";
  nonblocking($listener);
  push @listeners, $listener;
  $targets{fileno $listener} = $connect;
}
$SIG{PIPE} = 'IGNORE';
syswrite(STDOUT, "up\n");
my %sockets;
sub drop {
  for my $number ($_[0], $peers{$_[0]}) {
    close delete $sockets{$number} if defined $number && $sockets{$number};
    delete @{$_}{$number} for \%pending, \%ended;
  }
  my $other = delete $peers{$_[0]};
  delete $peers{$other} if defined $other;
}
sub flush {
  my ($number) = @_;
  if ($pending{$number} ne '') {
    my $written = syswrite($sockets{$number}, $pending{$number});
    if (!defined $written) { return $! == $EAGAIN || $! == $EINTR ? 1 : drop($number) }
    substr($pending{$number}, 0, $written) = '';
  }
  shutdown($sockets{$number}, 1) if $pending{$number} eq '' && $ended{$peers{$number}};
  drop($number) if $pending{$number} eq '' && $pending{$peers{$number}} eq '' && $ended{$number} && $ended{$peers{$number}};
}
while (1) {
  my ($read, $write) = ('', '');
  vec($read, fileno $_, 1) = 1 for @listeners;
  for my $number (keys %sockets) {
    # What one side does not take is not read from the other.
    vec($read, $number, 1) = 1 if !$ended{$number} && length($pending{$peers{$number}}) < 65536;
    vec($write, $number, 1) = 1 if $pending{$number} ne '';
  }
  next if select($read, $write, undef, undef) <= 0;
  for my $listener (grep { vec($read, fileno $_, 1) } @listeners) {
    accept(my $from, $listener) or next;
    my ($family, $name) = address($targets{fileno $listener});
    socket(my $to, $family, $SOCK_STREAM, 0) or die "socket: $!\n";
    nonblocking($_) for $from, $family == $PF_UNIX ? () : $to;
    connect($to, $name) || $! == $EINPROGRESS or next;
    nonblocking($to);
    my ($one, $other) = (fileno $from, fileno $to);
    @sockets{$one, $other} = ($from, $to);
    @peers{$one, $other} = ($other, $one);
    @pending{$one, $other} = ('', '');
  }
  for my $number (keys %sockets) {
    flush($number) if $sockets{$number} && vec($write, $number, 1);
    next unless $sockets{$number} && vec($read, $number, 1);
    my $length = sysread($sockets{$number}, my $chunk, 65536);
    if (!defined $length) { drop($number) unless $! == $EAGAIN || $! == $EINTR; next }
    if ($length == 0) { $ended{$number} = 1 } else { $pending{$peers{$number}} .= $chunk }
    flush($peers{$number});
  }
}

# Redis.pm (../README.md says what such a program does). It knows nothing of clusters.
use strict;
use warnings;
use Redis;
use Time::HiRes qw(sleep);

$| = 1;
my ($mode, $addresses, $prefix) = @ARGV;
my ($address) = split /,/, $addresses;

sub key { "{$prefix}:$_[0]" }

sub check {
    my ($got, $wanted) = map { join ',', map { $_ // 'nothing' } @$_ } @_;
    die "$got instead of $wanted\n" if $got ne $wanted;
}

sub scan {
    my ($r, $cursor, %found) = (shift, 0);
    do {
        ($cursor, my $names) = $r->scan($cursor, 'MATCH', "*$prefix*", 'COUNT', 100);
        $found{$_} = 1 for @$names;
    } while $cursor;
    return sort keys %found;
}

sub usual {
    my $r = shift;
    check [$r->set(key('a'), 1)], ['OK'];
    check [$r->get(key('a'))], [1];
    check [$r->incr(key('n')), $r->incr(key('n'))], [1, 2];
    check [$r->mget(map { key($_) } qw(a n none))], [1, 2, undef];
    check [$r->expire(key('a'), 100)], [1];
    check [$r->ttl(key('a')) > 0], [1];
    check [scan($r)], [key('a'), key('n')];
    $r->multi;
    $r->incr(key('n'));
    $r->set(key('m'), 'x');
    check [$r->exec], [3, 'OK'];
    my @replies;
    $r->incr(key('p'), sub { push @replies, $_[0] }) for 1 .. 100;
    $r->wait_all_responses;
    check \@replies, [1 .. 100];
    check [$r->del(key('a'))], [1];
}

my $client = eval {
    my $r = Redis->new(server => $address, reconnect => 5, every => 50_000);
    print "version $Redis::VERSION\n";
    usual($r);
    $r;
} or do { print "failed $@"; exit 1 };
print "usual\n";
for (my $number = 1;; $number++) {
    if (eval { $client->set(key($number), $number); 1 }) {
        print "wrote $number\n";
        last if eval { $client->get(key('stop')) };
    } else {
        print "error $@";
    }
    sleep 0.01;
}
$client->quit;
print "end\n";

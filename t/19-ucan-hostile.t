#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Ten thousand hostile tokens, made of all test vectors and of good ones, while
# honest requests flow: none is let in that was not signed so, each answer is
# a problem with a status of ours, memory stays flat, the honest do not wait.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Program;

use constant TOKENS  => $ENV{MESH_TEST_HOSTILE} // 10_000;
use constant SEED    => $ENV{MESH_TEST_SEED} // 20264;
use constant ROUNDS  => 4;      # of the same number of tokens
use constant SECONDS => 400;

my $top = Mesh::Test->top;
my $vectors = "$top/t/vectors/ucan";

plan skip_all => 'no node: on Debian install nodejs'
    unless grep { -x "$_/node" } split /:/, $ENV{PATH};

my $keys = Mesh::Test->json_decode(Mesh::Test::slurp("$vectors/v1.json"))
           ->{keys};
my $trust = join ' ', map { $keys->{$_}{did} } qw(root p256 k1 rsa);

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    workers => 2,
    main    => 'thread_pool default threads=2;',
    conf    => q{
        keepalive_requests  1000000;
        access_log          off;

        # small, so that it is full when memory is measured

        ucan_cache_zone     tokens:256k entries=16 memory=256k;
    },
    server  => qq{
        large_client_header_buffers 8 32k;

        ucan_audience  $keys->{svc}{did};
        ucan_trust     $trust;

        location /read {
            empty_gif;
            ucan           on;
            ucan_require   /crud/read;
            ucan_resource  https://api.example/notes;
            ucan_replay    off;
        }
    },
)->start;


# The session of the honest one: a chain of two.

my ($rc, $token, $err) = Mesh::Test::run(
    [ 'node', "$top/t/hostile/run.js", $mesh->port, $vectors, 0, 0,
      'session' ]);

die "run.js: $err" if $rc != 0;

chomp $token;

is($mesh->get('/read', token => $token)->status, 200, 'an honest token');


# What is measured of the workers: CPU in ms, memory in kB.

sub of_workers {
    my ($file, $pattern) = @_;
    my $sum = 0;

    for my $pid ($mesh->workers) {
        my ($value) = Mesh::Test::slurp("/proc/$pid/$file") =~ $pattern;
        $sum += $value;
    }

    return $sum;
}

sub cpu_ms { return of_workers('schedstat', qr/^(\d+)/) / 1e6 }
sub resident_kb { return of_workers('status', qr/^VmRSS:\s+(\d+)/m) }

# So many requests, changed or whole, beside the honest ones.

sub round {
    my ($mode, $count, $seed) = @_;

    my $honest = Mesh::Test::Program->new(
        command => [ '/usr/bin/env', 'node', "$top/t/hostile/honest.js",
                     $mesh->port, $token ],
        folder  => $mesh->prefix);
    my $cpu = cpu_ms();

    my ($rc, $out, $err) = Mesh::Test::run(
        [ 'node', "$top/t/hostile/run.js", $mesh->port, $vectors, $count,
          $seed, $mode ], seconds => SECONDS);

    die "run.js: $rc $out$err" if $rc != 0;

    $cpu = cpu_ms() - $cpu;

    die 'honest.js: ' . $honest->output if $honest->end('TERM') != 0;

    my $sums = Mesh::Test->json_decode($out);

    $sums->{honest} = Mesh::Test->json_decode($honest->output);
    $sums->{cpu} = $cpu / $count;

    note(sprintf '%s: %s; honest: %d, p50 %.2f ms, p99 %.2f ms; CPU of the '
                 . 'workers %.3f ms a token', $mode,
         join(' ', map { "$_: $sums->{statuses}{$_}" }
                   sort keys %{ $sums->{statuses} }),
         @{ $sums->{honest} }{qw(count p50 p99)}, $sums->{cpu});

    return $sums;
}

my @workers = sort $mesh->workers;

round('changed', TOKENS / ROUNDS, SEED . '.warm');

my $before = resident_kb();
my %total = (wrong => [], strange => [], unanswered => 0, refused => 0);
my (@slow, @dear);

for my $i (1 .. ROUNDS) {
    my $whole = round('whole', TOKENS / ROUNDS, SEED . ".$i");
    my $changed = round('changed', TOKENS / ROUNDS, SEED . ".$i");

    push @{ $total{$_} }, @{ $changed->{$_} }, @{ $whole->{$_} }
        for qw(wrong strange);

    $total{unanswered} += $changed->{unanswered} + $whole->{unanswered};
    $total{refused} += $_->{honest}{refused} for $changed, $whole;
    $total{$_} += $changed->{statuses}{$_} for keys %{ $changed->{statuses} };

    push @slow, $changed->{honest}{p99} / $whole->{honest}{p99};
    push @dear, $changed->{cpu} / $whole->{cpu};
}

my $after = resident_kb();

sub least { return (sort { $a <=> $b } @_)[0] }

note("resident: $before kB, then $after kB");
note(sprintf 'p99 of the honest, hostile to whole tokens: %s; CPU: %s',
     join(' ', map { sprintf '%.2f', $_ } @slow),
     join(' ', map { sprintf '%.2f', $_ } @dear));


# What is promised.

is_deeply([ map { substr $_, 0, 2000 } @{ $total{wrong} } ], [],
          'nobody was let in by a token that was not signed so');
is_deeply([ map { substr $_, 0, 2000 } @{ $total{strange} } ], [],
          'each refusal is a problem, with a status of ours');
is($total{unanswered}, 0, 'each request was answered');
cmp_ok($total{200} // 0, '>', 0, 'changes that change nothing do no harm');
cmp_ok($total{$_} // 0, '>', 0, "there were answers of $_")
    for 400, 401, 403, 510;
is($total{refused}, 0, 'no honest request was refused');
is_deeply([ sort $mesh->workers ], \@workers, 'the workers live');

SKIP: {
    skip 'the sanitizer has a measure of its own', 3 if Mesh::Test::is_asan();

    cmp_ok($after - $before, '<', 2048, 'memory stays flat, within 2 MB');
    cmp_ok(least(@dear), '<', 3,
           'a hostile token costs the workers no more than whole ones do');
    cmp_ok(least(@slow), '<', 3, 'the honest wait no longer than beside them');
}

is($mesh->get('/read', token => $token)->status, 200,
   'the honest token is as good as before');

done_testing;

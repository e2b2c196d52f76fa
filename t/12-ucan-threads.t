#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Tokens with many signatures are checked in a thread pool: the request waits
# in its access phase, may leave at any time, and is answered as any other.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    main    => q{
        thread_pool  default  threads=1;
        thread_pool  other    threads=2;
        thread_pool  narrow   threads=1 max_queue=1;
    },
    files   => {
        'mesh.did'        => Mesh::Test::Mint->did('mesh'),
        'html/login.html' => 'please log in',
    },
    conf    => q{
        large_client_header_buffers  4 80k;
        limit_req_zone  $ucan_issuer zone=holders:1m rate=1r/m;

        server {
            listen       127.0.0.1:%%PORT2%%;
            server_name  localhost;
            return       200 "$http_x_issuer";
        }

        server {
            listen         127.0.0.1:%%PORT%%;
            server_name    localhost;

            root           html;
            ucan           on;
            ucan_audience  file:mesh.did;
            ucan_cache     off;

            location / { empty_gif; ucan_require /room/read; }

            location /kept/ { empty_gif; ucan_cache on; }
            location /inline/ { empty_gif; ucan_thread_pool off; }
            location /many/ { empty_gif; ucan_inline 64; }
            location /none/ { empty_gif; ucan_inline 0; }
            location /other/ { empty_gif; ucan_thread_pool other; }
            location /narrow/ { empty_gif; ucan_thread_pool narrow; }

            location /send/ { empty_gif; ucan_require /room/send; }

            location /any/ {
                empty_gif;
                satisfy  any;
                deny     all;
            }

            location /page/ {
                empty_gif;
                error_page  401 /login.html;
            }

            location = /login.html { ucan off; }

            location /from/ {
                ucan_session_max  10h;
                try_files         /nothing /none/;
            }

            location /limited/ {
                empty_gif;
                limit_req  zone=holders;
            }

            location /application/ {
                proxy_set_header  X-Issuer $ucan_issuer;
                proxy_pass        http://127.0.0.1:%%PORT2%%;
            }

            location /metrics { ucan off; ucan_metrics; }
        }
    },
)->start;

# sessions with one delegation, with nine in a row, and with forty that are of
# no use

my $chain = join '', map {
    my $from = $_ == 1 ? 'mesh' : 'k' . ($_ - 1);
    "delegation d$_ iss=$from aud=k$_ cmd=/room/read\n"
} 1 .. 9;

my $spare = join '', map { "delegation s$_ aud=x cmd=/room/list/$_\n" }
            1 .. 40;

my $token = Mesh::Test::Mint->mint(<<"END");
$chain$spare
invocation o1 iss=k1 sub=k1 cmd=/session/open
invocation o9 iss=k9 sub=k9 cmd=/session/open
invocation past iss=k9 sub=k9 cmd=/session/open exp=-5
forgery f5 list=d5
container short form=P list=d1,o1
container deep form=P list=${\ join ',', map { "d$_" } 1 .. 9 },o9
container past form=P list=${\ join ',', map { "d$_" } 1 .. 9 },past
container forged form=P list=d1,d2,d3,d4,f5,d6,d7,d8,d9,o9
container wide form=P list=d1,o1,${\ join ',', map { "s$_" } 1 .. 40 }
cid forged_cid list=f5
did did9 key=k9
END


sub status {
    my ($path, $name, %opt) = @_;

    return $mesh->get($path, token => $token->{$name}, %opt)->status;
}


# Jobs that some work is good for.

sub count {
    my ($n) = $mesh->get('/metrics')->body
              =~ /^mesh_ucan_thread_jobs_total (\d+)$/m;

    return $n // die 'no counter of jobs';
}

sub jobs {
    my ($work) = @_;

    my $before = count();
    $work->();

    return count() - $before;
}


# Which tokens.

for my $case (
    [ 0, '/',        'short', 'two signatures are checked at once' ],
    [ 1, '/',        'deep',  'ten signatures in a thread' ],
    [ 1, '/',        'wide',  '... or two among forty others' ],
    [ 0, '/inline/', 'deep',  '... but not where there is no pool' ],
    [ 0, '/many/',   'deep',  '... nor where that many are none' ],
    [ 1, '/none/',   'short', 'each where any is many' ],
    [ 1, '/other/',  'deep',  'a pool may be named' ],
    [ 1, '/kept/',   'deep',  'of a session that is kept' ],
    [ 0, '/kept/',   'deep',  '... only the first time' ],
) {
    my ($jobs, $path, $name, $what) = @$case;
    my $status;

    is(jobs(sub { $status = status($path, $name) }), $jobs, $what);
    is($status, 200, '... and let in');
}


# The answer is the same.

is(status('/', 'forged'), 401, 'a forged link is refused');
like($mesh->error_log,
     qr/bad-signature .*"$token->{forged_cid}", issuer "$token->{did9}"/,
     '... and the log names it');
is(status('/', 'past'), 401, 'one that has ended is refused');
is(status('/send/', 'deep'), 403, 'another command is refused');
is(status('/any/', 'deep'), 200, 'satisfy any: it opens the location');
is(status('/any/', 'forged'), 401, '... a forged one does not');
is($mesh->get('/page/', token => $token->{forged})->body, 'please log in',
   'an error_page has the say');
is(status('/from/', 'deep'), 200, 'a redirect is checked by another trust');
is($mesh->get('/application/', token => $token->{deep})->body,
   $token->{did9}, 'the application is told who asks');
is($mesh->post('/application/', 'x' x 100_000, token => $token->{deep})
        ->body, $token->{did9}, '... also with a body');

my $head = "HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer";
my $raw = $mesh->raw(
    "GET / $head $token->{deep}\r\n\r\nGET / $head $token->{forged}\r\n\r\n"
    . "GET / $head $token->{deep}\r\nConnection: close\r\n\r\n")->raw;

is_deeply([ $raw =~ m{HTTP/1\.1 (\d+)}g ], [ 200, 401, 200 ],
          'requests that follow on the connection wait for their turn');


# A variable that is needed earlier does not wait.

is(status('/limited/', 'deep'), 200, 'limit_req counts by holder');
is(status('/limited/', 'deep'), 503, '... before the access phase');


# Clients that leave while their token is being checked.

my $done = jobs(sub {
    for (1 .. 100) {
        my $one = $mesh->begin(GET => '/', token => $token->{wide});
        $one->abort;
    }

    is(status('/', 'wide'), 200, 'behind a hundred that left, one is served');
});

cmp_ok($done, '>', 1, "... while the pool was busy with them ($done)");


# Too many.

my @all = map { $mesh->begin(GET => '/narrow/', token => $token->{wide}) }
          1 .. 40;
my %seen;

for my $one (@all) {
    my $reply = $one->reply;

    $seen{ $reply->status }++;

    if ($reply->status == 503 && $seen{503} == 1) {
        is($reply->json->{error}, 'busy', 'a full queue is a problem');
        ok($reply->header('Retry-After'), '... that says when to ask again');
    }
}

is_deeply([ sort keys %seen ], [ 200, 503 ],
          'what does not fit into the queue is told so, the rest is served');
is($seen{200} + $seen{503}, 40, '... and all are answered');
like($mesh->error_log, qr/ucan: busy/, '... and the log says so');
is(status('/narrow/', 'wide'), 200, '... and later there is room again');


# Reload and end with work under way.

@all = map { $mesh->begin(GET => '/', token => $token->{wide}) } 1 .. 60;
$mesh->reload;

is(scalar(grep { $_->reply->status == 200 } @all), 60,
   'a reload waits for what is being checked');
is(status('/', 'wide'), 200, '... and the new worker goes on');

my $before = count();

@all = map { $mesh->begin(GET => '/', token => $token->{wide}) } 1 .. 150;
$mesh->wait_for(sub { count() == $before + 150 }, 20, 'all jobs');
$mesh->quit;

is(scalar(grep { $_->reply->status == 200 } @all), 150,
   'a worker that is told to quit answers before it goes');

done_testing;

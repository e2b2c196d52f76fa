#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The zone of revoked CIDs: effective in every worker at once, kept over a
# reload and over the death of a worker, and never silently full.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

# Tokens are made by the mesh command; "logout" of the identity module is
# what revokes them.

sub create {
    my ($zone) = @_;

    return Mesh::Test->new(
        modules => [qw(ucan storage identity)],
        data    => 1,
        workers => 3,
        main    => 'thread_pool  password  threads=1;',
        conf    => <<"END",
    ucan_audience              file:%%DATA%%/mesh.did;
    ucan_replay                off;
    $zone

    mesh_storage               %%DATA%%/mesh.db;
    mesh_identity_key          %%DATA%%/mesh.key;
    mesh_identity_thread_pool  password;

    server {
        listen       127.0.0.1:%%PORT%%;
        server_name  localhost;

        location /api/ {
            ucan           optional;
            mesh_identity  on;
        }

        location / {
            empty_gif;
            ucan          on;
            ucan_require  /room/read;
        }
    }
END
    );
}


sub run_mesh {
    my ($mesh, @args) = @_;

    my ($rc, $out, $err) = $mesh->mesh(@args);

    die "mesh @args: $err" if $rc != 0;
    chomp $out;

    return $out;
}


# A holder with a capability of its own; each call makes another session.

sub holder {
    my ($mesh, $name) = @_;

    my $key = $mesh->prefix . "/$name.key";
    my $did = run_mesh($mesh, 'key', 'new', $key) =~ /(did:key:\w+)/ ? $1
              : die 'no DID';

    my $proof = $mesh->write_file("$name.proof", run_mesh(
        $mesh, 'delegate', '--key', $mesh->data . '/mesh.key', '--to', $did,
        '--command', '/room/read'));

    return sub {
        return run_mesh($mesh, 'token', '--key', $key, '--audience',
                        $mesh->data . '/mesh.did', '--proof', $proof,
                        '--expires', '1h');
    };
}


sub logout {
    my ($mesh, $token) = @_;

    return $mesh->post('/api/auth/logout', {}, token => $token)->status;
}


# The statuses of so many requests, each on a new connection, that is, of
# whichever worker takes it.

sub statuses {
    my ($mesh, $token) = @_;

    my %seen;
    $seen{ $mesh->get('/', token => $token)->status }++ for 1 .. 15;

    return [ sort keys %seen ];
}


my $mesh = create('ucan_revocation_zone  revocations:32k;')->start;
my $ada = holder($mesh, 'ada');
my $bob = holder($mesh, 'bob');

my @sessions = map { $ada->() } 1 .. 2;
my $other = $bob->();

is_deeply(statuses($mesh, $sessions[0]), [200], 'a session is let in');
is(logout($mesh, $sessions[0]), 204, 'it is revoked');
is_deeply(statuses($mesh, $sessions[0]), [401], '... in all workers at once');
like($mesh->error_log, qr/refused: token-revoked/, '... and the log says why');
is_deeply(statuses($mesh, $sessions[1]), [200],
          'another session of the same holder goes on');
is_deeply(statuses($mesh, $other), [200], '... and so does everybody else');


# Reload, death of a worker.

$mesh->reload;

is_deeply(statuses($mesh, $sessions[0]), [401], 'a reload forgets nothing');
is_deeply(statuses($mesh, $other), [200], '... and adds nothing');

$mesh->kill_worker;

is_deeply(statuses($mesh, $sessions[0]), [401],
          'the death of a worker neither');
is(logout($mesh, $sessions[1]), 204, '... and one can be revoked after it');
is_deeply(statuses($mesh, $sessions[1]), [401], '... everywhere');


# A token without an end is revoked without one.

my @ada = ('--key', $mesh->prefix . '/ada.key');
my $proof = $mesh->write_file('endless.proof', run_mesh($mesh, 'delegate',
    '--key', $mesh->data . '/mesh.key', '--to', run_mesh(
        $mesh, 'key', 'show', $mesh->prefix . '/ada.key'),
    '--command', '/room/read', '--expires', 'never'));
my $endless = run_mesh($mesh, 'token', @ada, '--audience',
                       $mesh->data . '/mesh.did', '--proof', $proof,
                       '--invoke', '/room/read', '--expires', 'never');

is($mesh->post('/api/auth/register', {
       name => 'ada', did => run_mesh($mesh, 'key', 'show', $ada[1]),
       proof => run_mesh($mesh, 'token', @ada, '--audience',
                         $mesh->data . '/mesh.did') })->status, 201,
   'somebody registers');

is_deeply(statuses($mesh, $endless), [200], 'an invocation without an end');

my $me = $mesh->get('/api/auth/me', token => $endless);

is($me->status, 200, '... tells who it is of');
ok(!exists $me->json->{expiresAt}, '... and names none');
is(logout($mesh, $endless), 204, '... is revoked');
is_deeply(statuses($mesh, $endless), [401], '... at once');

$mesh->stop;
$mesh->start;

is_deeply(statuses($mesh, $endless), [401], '... and for good');


# Full.

my $full = 0;

for (1 .. 600) {
    my $status = logout($mesh, $bob->());

    next if $status == 204;

    $full = $status;
    last;
}

is($full, 503, 'a revocation that does not fit is an error to who asks');
like($mesh->error_log,
     qr/ucan: revocation refused, zone "revocations" is full; make it larger/,
     '... and the log says what to do');
is_deeply(statuses($mesh, $sessions[0]), [401],
          'what was revoked before stays revoked');
is_deeply(statuses($mesh, $other), [200], '... and the rest goes on');


# Without the directive there is a zone as well.

my $default = create('')->start;
my $ann = holder($default, 'ann');
my @hers = map { $ann->() } 1 .. 2;

is(logout($default, $hers[0]), 204,
   'without a directive there is a zone of its own');
is_deeply(statuses($default, $hers[0]), [401], '... that does the same');
is_deeply(statuses($default, $hers[1]), [200], '... and no more');

$default->reload;

is_deeply(statuses($default, $hers[0]), [401], '... over a reload, too');

done_testing;

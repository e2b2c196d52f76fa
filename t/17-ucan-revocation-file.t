#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The file of revocations that an operator ships: every form of line, changes
# in force in all workers within a second, and a bad file that changes nothing.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes ();

use lib "$FindBin::RealBin/lib";

use Mesh::Test;
use Mesh::Test::Mint;

my $token = Mesh::Test::Mint->mint(<<'END');
delegation a aud=ada cmd=/room/read
delegation b aud=ada cmd=/room/read nonce=b
delegation chef aud=chef cmd=/room
delegation c aud=carl iss=chef cmd=/room/read
invocation open iss=ada sub=ada cmd=/session/open
invocation carls iss=carl sub=carl cmd=/session/open
container session form=C list=a,open
container other form=C list=b,open
container carl form=C list=chef,c,carls
cid a list=a
cid b list=b
cid c list=c
record by_mesh list=a
record by_ada iss=ada list=a
record by_chef iss=chef list=c
record by_root iss=mesh list=c
forgery false list=open
invocation void iss=mesh cmd=/ucan/revoke args=revoke:@a nonce= exp=none
container voided form=C list=void
forgery void2 list=void
container forged form=C list=void2
END

my $mesh = Mesh::Test->new(
    workers => 3,
    modules => ['ucan'],
    files   => { 'revoked.txt' => "# nothing yet\n" },
    conf    => "    ucan_revocation_zone  revocations:1m;\n"
               . "    ucan_revocation_file  %%PREFIX%%/revoked.txt;\n",
    server  => 'ucan_audience  ' . Mesh::Test::Mint->did('mesh') . ';'
               . ' location / { empty_gif; ucan on; ucan_require /room/read; }'
)->start;


# What each of the workers says, once all of them say the same; one request a
# connection, so that all of them are asked.

sub said {
    my ($name) = @_;

    my %seen;
    $seen{ $mesh->get('/', token => $token->{$name})->status }++ for 1 .. 12;

    return join ',', sort keys %seen;
}


# Replaces the file as a tool would, and waits until everybody has noticed.

sub ship {
    my ($text, $name, $status, $what) = @_;

    $mesh->write_file('revoked.new', $text);
    rename $mesh->prefix . '/revoked.new', $mesh->prefix . '/revoked.txt'
        or die "rename: $!";

    my $begin = Time::HiRes::time();

    ok(eval { $mesh->wait_for(sub { said($name) eq $status }, 10) }, $what);
    cmp_ok(Time::HiRes::time() - $begin, '<', 3, '... soon');

    return;
}


is(said('session'), '200', 'a session');

ship("$token->{a}\n", session => '401', 'a CID in the file ends it');
is(said('other'), '200', '... and no other');
like($mesh->error_log, qr/refused: token-revoked/, '... and the log says why');
like($mesh->error_log, qr/revoked\.txt" changed, 1 revocations of it are in/,
     '... and that the file changed');

$mesh->reload;

is(said('session'), '401', 'it is in force when workers start');

$mesh->kill_worker;

is(said('session'), '401', 'the death of a worker changes nothing');

ship("# all forgiven\n", session => '200',
     'a line that is gone holds no more');


# Forms of lines.

my $later = time + 3600;

ship("  $token->{a}  $later # lost phone\r\n\n# more\n$token->{b}\t"
     . "2199-01-31T00:00:00Z\n", other => '401',
     'a time may follow, a comment, blanks');
is(said('session'), '401', '... on any line');

ship("$token->{by_mesh}\n", other => '200', 'a record is another form');
is(said('session'), '401', '... which holds by the one who issued the token');

ship("$token->{by_ada}\n", session => '200',
     'the record of somebody who issued nothing is void');

ship("$token->{voided}\n", session => '401', 'an invocation in a container');
is(said('carl'), '200', 'a chain of two');

ship("$token->{by_chef}\n", carl => '401', 'a record by the one who issued');
ship("\n", carl => '200', 'lifted');
ship("$token->{by_root}\n", carl => '401', 'a record from further up');
is(said('session'), '200', '... is about nobody else');

ship("$token->{a} 1000000000\n", carl => '200',
     'what is over long ago needs no place');
is(said('session'), '200', '... and no verdict');


# A bad file.

ship("$token->{a}\n", session => '401', 'one in force');

sub break_it {
    my ($text, $like, $what) = @_;

    my $before = length $mesh->error_log;

    $mesh->write_file('revoked.new', $text);
    rename $mesh->prefix . '/revoked.new', $mesh->prefix . '/revoked.txt'
        or die "rename: $!";

    ok(eval { $mesh->wait_for(sub { substr($mesh->error_log, $before)
                                    =~ $like }, 10) }, $what);
    is(said('session'), '401', '... and what held holds on');
    like(refused('ucan_revocation_file  ' . $mesh->prefix . '/revoked.txt;'),
         qr/"ucan_revocation_file": $like/, '... and nginx -t says the same');

    return;
}

sub refused {
    my ($lines) = @_;

    my ($rc, $text) = $mesh->nginx_t($lines);

    return $rc != 0 ? $text : 'accepted';
}

break_it("# one\n\nbafybroken\n", qr/line 3 of ".*" has no CID of a token/,
         'a line that is none is named');
break_it("$token->{b} tomorrow\n",
         qr/line 1 of ".*" has something behind its CID that is no time/,
         'a time that is none, too');
break_it("$token->{b}\n{\"iss\":\"x\"}\n", qr/line 2 of ".*" is no revocation/,
         'and a record that is none');
break_it("$token->{forged}\n", qr/line 1 of ".*" has a revocation whose sig/,
         'and a signature that is none');
break_it("$token->{other}\n", qr/line 1 of ".*" (?:is no|has a) revocation/,
         'and a container without a revocation');

my $lines = () = $mesh->error_log =~ /line 3 of/g;

is($lines, 1, 'a bad file is named once, when it changes');

unlink $mesh->prefix . '/revoked.txt' or die "unlink: $!";
ok($mesh->wait_for_log(qr/cannot be looked at; what it revoked stays/),
   'a file that is gone is named as well');
is(said('session'), '401', '... and what held holds on');

ship("$token->{b}\n", session => '200', 'a good one takes over again');
is(said('other'), '401', '... with what it says');


# In the configuration.

like(refused('ucan_revocation_file  /nowhere/at/all;'),
     qr/"ucan_revocation_file": cannot open ".*"; an empty file revokes/,
     'a file that is not there is refused');
like(refused('ucan_revocation_file  /dev/null;'),
     qr/it must be a file of at most 4 MB/, 'and what is no file');
like(refused('ucan_revocation_file  a;  ucan_revocation_file  b;'),
     qr/duplicate|cannot open/, 'and a second one');

# Without the directive.

my $conf = $mesh->read_file('nginx.conf');
$conf =~ s/ucan_revocation_file .*;//;
$mesh->write_file('nginx.conf', $conf);
$mesh->reload;

is(said('other'), '200', 'without the directive nothing of it is left');

done_testing;

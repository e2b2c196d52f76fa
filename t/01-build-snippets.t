#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Every conf/snippets/*.conf works as it stands in a stock configuration, with
# exactly the lines that its own comment asks for, and does what it says.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(basename dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $top = Mesh::Test->top;


# A snippet and what its comment asks for, with the addresses of a test: the
# server on %%PORT%%, an application on %%PORT2%%.

sub read_snippet {
    my ($name) = @_;

    my $text = Mesh::Test::slurp("$top/conf/snippets/$name.conf");
    my ($head) = $text =~ /\A((?:#.*\n|\n)*)/;
    my @modules = $head =~ m{^\#\s+load_module\s+modules/ngx_http_(?:mesh_)?
                             (\w+)_module\.so;$}mgx;
    my $main = join '', map { "$_\n" } $head =~ /^#\s+(thread_pool .*;)$/mg;

    $text =~ s{/var/lib/mesh}{%%DATA%%}g;
    $text =~ s{/usr/share/mesh}{%%TOP%%/modules/status}g;
    $text =~ s{listen(\s+)8080}{listen${1}127.0.0.1:%%PORT%%}g;
    $text =~ s{127\.0\.0\.1:3000}{127.0.0.1:%%PORT2%%};

    return (modules => \@modules, main => $main, data => 1, conf => <<"END");
$text
server {
    listen  127.0.0.1:%%PORT2%%;

    location / {
        return 200 "\$http_ucan_issuer|\$http_authorization|\n";
    }
}
END
}

my %needs = (
    ucan     => [qw(ucan)],
    storage  => [qw(ucan storage)],
    identity => [qw(ucan storage identity)],
    room     => [qw(ucan storage room)],
    status   => [qw(status)],
);

is_deeply([ sort map { basename($_, '.conf') } glob
            "$top/conf/snippets/*.conf" ], [ sort keys %needs ],
          'there is a snippet for each module');

my %node;

for my $name (sort keys %needs) {
    my %snippet = read_snippet($name);

    is_deeply($snippet{modules}, $needs{$name},
              "$name says which modules it needs");

    my ($rc, $text) = Mesh::Test->nginx_t(%snippet);

    is($rc, 0, "$name passes nginx -t") or diag($text);
    unlike($text, qr/\[warn\]/, "$name gives no warning");
}


# ucan: an application behind a capability.

my $ucan = Mesh::Test->new(read_snippet('ucan'))->start;
my $data = $ucan->data;

sub mesh {
    my ($rc, $out, $err) = $ucan->mesh(@_);

    die "mesh @_: $err" if $rc != 0;
    chomp $out;

    return $out;
}

mesh('key', 'new', "$data/bot.key");

my $bot = mesh('key', 'show', "$data/bot.key");

sub token_for {
    my ($command) = @_;

    my $proof = mesh('delegate', '--key', "$data/mesh.key", '--to', $bot,
                     '--command', $command);

    return mesh('token', '--key', "$data/bot.key", '--audience', $ucan->did,
                '--proof', $proof);
}

is($ucan->get('/')->status, 401, 'ucan: no token, no application');
is($ucan->get('/', token => token_for('/app/write'))->status, 403,
   'ucan: nor with another capability');

my $reply = $ucan->get('/', token => token_for('/app/read'));

is($reply->status, 200, 'ucan: with the right one it answers');
is($reply->body, "$bot||\n",
   'ucan: it is told who asks, and does not see the token');


# storage: keys for who holds a namespace.

my $storage = Mesh::Test->new(read_snippet('storage'))->start;

$data = $storage->data;
mesh('key', 'new', "$data/bot.key");

my $proof = mesh('delegate', '--key', "$data/mesh.key", '--arg', 'ns=notes',
                 '--to', mesh('key', 'show', "$data/bot.key"),
                 '--command', '/storage');
my $token = mesh('token', '--key', "$data/bot.key", '--audience',
                 $storage->did, '--proof', $proof);

is($storage->get('/api/storage/kv/notes/a')->status, 401,
   'storage: no token, no key');
is($storage->put('/api/storage/kv/notes/a', 'text', token => $token)->status,
   201, 'storage: whoever holds a namespace writes there');
is($storage->put('/api/storage/kv/other/a', 'text', token => $token)->status,
   403, 'storage: and nowhere else');


# identity: an account, and what it opens.

my $identity = Mesh::Test->new(read_snippet('identity'))->start;

my $account = $identity->wait_for(sub {
    my $answer = $identity->post('/api/auth/register', {
        name => 'ada', password => 'correct horse battery' });
    return $answer->status == 503 ? undef : $answer;
}, 20, 'the store');

is($account->status, 201, 'identity: people register');
is($identity->get('/members/')->status, 401,
   'identity: who has no token does not get in');

$reply = $identity->get('/members/', token => $account->json->{token});

is($reply->status, 200, 'identity: who registered does');
is($reply->body, $account->json->{did} . "||\n",
   'identity: and is known by their DID');


# room: asks for a token.

my $room = Mesh::Test->new(read_snippet('room'))->start;

is($room->get('/api/rooms')->status, 401, 'room: REST wants a token');

my $ws = $room->ws('/ws');

$ws->send_json({ type => 'ping' });
ok($ws->recv_json(type => 'error'), 'room: so does the socket');
$ws->close;


# status: alone.

my $status = Mesh::Test->new(read_snippet('status'))->start;

is($status->get('/api/health')->json->{status}, 'ok', 'status: is healthy');
like($status->get('/skill.md')->body, qr/^#/m, 'status: teaches');

done_testing;

#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The five minutes of README.md, line by line as they stand there, but for the
# port: from nothing to an owner, a room, a bot that answers, and a poll.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Program;

my $modules = "$Mesh::Test::TOP/.node/node_modules";

plan skip_all => 'no npm package "ws": t/run installs it'
    unless -d "$modules/ws";

my $node = Mesh::Test->full;
my $folder = $node->prefix . '/clone';
my $url = 'http://127.0.0.1:' . $node->port;

my ($section) = Mesh::Test::slurp("$Mesh::Test::TOP/README.md")
    =~ /^## Five minutes[^\n]*\n(.*?)^## /ms;
my ($bot) = $section =~ /^```js\n(.*?)^```$/ms;
my @blocks = $section =~ /^```sh\n(.*?)^```$/msg;
my ($run) = grep { $blocks[$_] =~ /node bot\.mjs/ } 0 .. $#blocks;

ok($bot && defined $run, 'README.md has a bot, and lines that run it');
is($blocks[0] =~ s{^URL=http://localhost:4000$}{URL=$url}m, 1,
   'and one line with the address');


# In one shell, as a reader would; the bot keeps its terminal, so what comes
# after it waits for a word from us.

mkdir $folder or die "mkdir: $!";
symlink $modules, "$folder/node_modules" or die "symlink: $!";

$node->write_file('clone/bot.mjs', $bot);
$node->write_file('clone/lines.sh', join "\n",
    'set -e', @blocks[0 .. $run - 1], "( $blocks[$run] ) &",
    'until [ -e go ]; do sleep 0.05; done',
    map { "$_\necho; echo \"ended \$?\"" } @blocks[$run + 1 .. $#blocks]);

my $reader = Mesh::Test::Program->new(
    command => [ '/bin/bash', 'lines.sh' ], folder => $folder);

sub owner_has {
    my ($file) = @_;
    return Mesh::Test::json_decode($node->read_file("clone/$file"));
}

$node->wait_for(sub {
    die $reader->output unless $reader->is_running;
    $node->read_file('clone/bot.json') =~ /\}\s*\z/;
}, 30, 'the lines up to the bot');

my ($ada, $room, $echo) = map { owner_has($_) }
                          qw(ada.json room.json bot.json);

is($ada->{role}, 'owner', 'who runs them first is the owner');
is($room->{name}, 'kitchen', 'there is a room');
is($echo->{maker}, $ada->{participantId}, 'there is a bot of the owner');

sub messages {
    return @{ $node->get("/api/rooms/$room->{id}/messages",
                         token => $ada->{token})->json->{messages} };
}

sub say {
    my $status = $node->post("/api/rooms/$room->{id}/messages",
                             { content => $_[0] }, token => $ada->{token})
                      ->status;
    die "not said: $status\n" if $status != 201;
}

$node->wait_for(sub {
    my $members = $node->get("/api/rooms/$room->{id}/members",
                             token => $ada->{token})->json->{members};
    grep { $_->{id} eq $echo->{agentId} } @$members;
}, 30, 'the bot in the room');

say('hello');

ok($node->wait_for(sub { grep { $_->{content} eq 'Echo: hello' } messages() },
                   20, 'an echo'), 'the bot answers');

is($node->post('/api/rooms', { name => 'x' }, token => $echo->{token})
   ->status, 403, 'it may do nothing but read and write in that room');

$node->write_file('clone/go', '');

ok($node->wait_for(sub { $reader->output =~ /"messages":\[\{.*"hello"/ }, 30,
                   'a poll'), 'curl alone hears what was said');
ok($node->wait_for(sub { $reader->output =~ /^ended 0$/m }, 20, 'the end'),
   'and no line of them fails');
unlike($reader->output, qr{/problems/}, 'nor is refused');

done_testing;
